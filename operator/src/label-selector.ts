// Label selectors with Kubernetes' meaning (apimachinery, pkg/apis/meta/v1/helpers.go and pkg/labels/selector.go). Pure.
import type { DataDirectPathSpec } from '@data-direct/crds';

export type Labels = Readonly<Record<string, string>>;
type LabelSelector = NonNullable<DataDirectPathSpec['nodeSelector']>;
type Requirement = NonNullable<LabelSelector['matchExpressions']>[number];

interface Operator {
  readonly values: 'some' | 'none';
  readonly holds: (value: string | undefined, values: readonly string[]) => boolean;
}

/** NotIn and DoesNotExist hold for nodes without the label, as they do everywhere in Kubernetes. */
const operators: Readonly<Record<string, Operator>> = {
  In: { values: 'some', holds: (value, values) => value !== undefined && values.includes(value) },
  NotIn: { values: 'some', holds: (value, values) => value === undefined || !values.includes(value) },
  Exists: { values: 'none', holds: (value) => value !== undefined },
  DoesNotExist: { values: 'none', holds: (value) => value === undefined },
};

const namePart = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const prefixPart = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** All requirements must hold; none at all select every node. */
export function matches(selector: LabelSelector | undefined, labels: Labels): boolean {
  return requirementsOf(selector).every(({ key, operator, values }) =>
    operators[operator]?.holds(Object.hasOwn(labels, key) ? labels[key] : undefined, values ?? []),
  );
}

export function selectorKeys(selector: LabelSelector | undefined): string[] {
  return requirementsOf(selector).map(({ key }) => key);
}

/** What the API server's schema cannot see: each problem is a sentence that begins with the field. */
export function selectorProblems(selector: LabelSelector | undefined, field: string): string[] {
  const expressions = selector?.matchExpressions ?? [];
  const labels = Object.entries(selector?.matchLabels ?? {});
  return [
    ...labels.flatMap(([key, value]) => termProblems(`${field}.matchLabels`, key, [value])),
    ...expressions.flatMap((expression, index) =>
      expressionProblems(`${field}.matchExpressions[${index}]`, expression),
    ),
  ];
}

function requirementsOf(selector: LabelSelector | undefined): Requirement[] {
  const equalities = Object.entries(selector?.matchLabels ?? {});
  return [
    ...equalities.map(([key, value]): Requirement => ({ key, operator: 'In', values: [value] })),
    ...(selector?.matchExpressions ?? []),
  ];
}

function expressionProblems(field: string, { key, operator, values = [] }: Requirement): string[] {
  const known = operators[operator];
  if (!known) return [`${field}.operator: ${operator} is none of ${Object.keys(operators).join(', ')}`];
  if (values.length > 0 !== (known.values === 'some')) {
    return [
      `${field}.values: operator ${operator} needs ${known.values === 'some' ? 'at least one value' : 'no values'}`,
    ];
  }
  return termProblems(field, key, values);
}

function termProblems(field: string, key: string, values: readonly string[]): string[] {
  const [name = '', prefix, ...more] = key.split('/').toReversed();
  const legalKey = namePart.test(name) && (prefix === undefined || prefixPart.test(prefix)) && more.length === 0;
  return [
    ...(legalKey ? [] : [`${field}: "${key}" is not a label key`]),
    ...values
      .filter((value) => value !== '' && !namePart.test(value))
      .map((value) => `${field}: "${value}" is not a label value, so no node can have it`),
  ];
}
