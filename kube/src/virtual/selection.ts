// Label and field selectors as the server reads them.
import type { KubeObject } from '../object.ts';
import { Refusal } from './refusal.ts';

export type Predicate = (object: KubeObject) => boolean;

const everything: Predicate = () => true;

/** `a=b,c!=d,e in (f,g),h notin (i),j,!k` */
export function labelPredicate(selector: string | null): Predicate {
  if (!selector) return everything;
  const requirements = selector.split(/,(?![^(]*\))/).map(labelRequirement);
  return (object) => requirements.every((holds) => holds(object.metadata.labels ?? {}));
}

function labelRequirement(text: string): (labels: Record<string, string>) => boolean {
  const set = /^\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*$/.exec(text);
  if (set) {
    const [, key = '', operator, list = ''] = set;
    const values = new Set(list.split(',').map((value) => value.trim()));
    const isIn = (labels: Record<string, string>): boolean => key in labels && values.has(labels[key] ?? '');
    return operator === 'in' ? isIn : (labels) => !isIn(labels);
  }
  const equality = /^\s*([^\s=!]+)\s*(==?|!=)\s*(\S*)\s*$/.exec(text);
  if (equality) {
    const [, key = '', operator, value] = equality;
    return operator === '!=' ? (labels) => labels[key] !== value : (labels) => labels[key] === value;
  }
  const existence = /^\s*(!?)\s*([^\s=!]+)\s*$/.exec(text);
  if (!existence) throw new Refusal(400, `unable to parse requirement: ${text}`);
  const [, not, key = ''] = existence;
  return (labels) => key in labels !== (not === '!');
}

/** `metadata.name=a,spec.nodeName!=b`: only the fields that the resource lets select by. */
export function fieldPredicate(selector: string | null, selectable: readonly string[]): Predicate {
  if (!selector) return everything;
  const requirements = selector.split(',').map((text) => {
    const [, field = '', operator, value] = /^([^=!]+)(==?|!=)(.*)$/.exec(text) ?? [];
    if (!selectable.includes(field)) throw new Refusal(400, `field label not supported: ${field || text}`);
    return (object: KubeObject) => (fieldOf(object, field) === value) !== (operator === '!=');
  });
  return (object) => requirements.every((holds) => holds(object));
}

function fieldOf(object: KubeObject, path: string): string {
  let value: unknown = object;
  for (const step of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[step];
  return typeof value === 'string' ? value : '';
}
