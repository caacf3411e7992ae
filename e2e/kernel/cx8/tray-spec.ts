// What a tray of virtual adapters consists of, as data, read strictly from JSON.
import { z } from 'zod';
import { serverError } from './errors.ts';
import { type Capabilities, isCapability } from './nic/capabilities.ts';

/** Names become socket files. */
const name = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'a name of lower-case letters, digits and -');
export const vuid = z.string().regex(/^[\x20-\x7e]{1,128}$/, 'a VUID of 1 to 128 printable characters');
/** The image as the guest reads it. An address in it has 15 bits (pci_vpd_size). */
export const vpd = z.base64('base64 of a VPD image').max(44_000);

export const capabilities = z
  .record(z.string().refine(isCapability, 'a capability of nic/layouts.ts'), z.int().min(0).max(0xffff_ffff))
  .transform((given): Capabilities => given);

const nic = z.strictObject({
  name,
  vpd,
  /** What its firmware answers to QUERY_VUID(data_direct=1). */
  vuid,
  /** The function through which its data direct regions are reached. */
  dmaFunction: name,
  lid: z.int().min(1).max(0xbfff),
  function: z.enum(['PF', 'VF']).default('PF'),
  /** Where they differ from those of a ConnectX-8. */
  capabilities: capabilities.default({}),
});
export type NicSpec = z.infer<typeof nic>;

const tray = z
  .strictObject({
    nics: z.array(nic),
    dmaFunctions: z.array(z.strictObject({ name, vpd })),
    gpus: z.array(z.strictObject({ name })),
  })
  .superRefine((spec, context) => {
    const complain = (path: (string | number)[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    const names = [...spec.nics, ...spec.dmaFunctions, ...spec.gpus].map((one) => one.name);
    const twin = names.find((one, index) => names.indexOf(one) !== index);
    if (twin !== undefined) complain([], `a name for each function (${twin} is there twice)`);
    const lids = spec.nics.map(({ lid }) => lid);
    if (new Set(lids).size < lids.length) complain(['nics'], `a LID for each NIC (given: ${lids.join(', ')})`);
    for (const [index, { dmaFunction }] of spec.nics.entries()) {
      const isKnown = spec.dmaFunctions.some((one) => one.name === dmaFunction);
      if (!isKnown) complain(['nics', index, 'dmaFunction'], `a DMA function of this tray (not ${dmaFunction})`);
    }
  });
export type TraySpec = z.infer<typeof tray>;

export function readTraySpec(json: unknown): TraySpec {
  const { data, error } = tray.safeParse(json);
  if (error !== undefined) throw serverError('TRAY_INVALID', firstProblem(error));
  return data;
}

/** Where in the JSON, and what should have been there. */
export function firstProblem({ issues: [issue] }: z.ZodError): { where: string; problem: string } {
  return { where: `$${issue?.path.map((step) => `.${String(step)}`).join('')}`, problem: issue?.message ?? 'invalid' };
}
