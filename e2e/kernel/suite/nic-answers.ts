// What stock drivers make of one NIC whose firmware is as it should be, lacks a capability, or misbehaves; and how driver-core judges that.
// The NIC is bound anew for each row: drivers read most of it at their probe.

import { beforeAll, describe, expect, test } from 'vitest';
import type { Faults } from '../cx8/nic/faults.ts';
import type { NicAnswers } from '../guest/ask-nic.ts';
import type { KernelSeries } from '../versions.ts';
import { ADDRESS, type NicName, type TrayMachine } from '../tray-machine.ts';

interface Row {
  /** Default: nic0, whose DMA function is dma0. */
  readonly nic?: NicName;
  readonly faults?: Faults;
  /** False where a registration would never return. */
  readonly memory?: boolean;
  readonly expected: NicAnswers;
  /** Where this kernel's answers differ. */
  readonly on?: Partial<Record<KernelSeries, Partial<NicAnswers>>>;
}

const GOOD: NicAnswers = {
  reason: 'Paired',
  context: 'ok',
  path: ADDRESS.dma0,
  probe: 'ok',
  registration: 'ok',
  ordinary: 'ok',
};
/** The driver has not paired it. */
const NOT_PAIRED = { ...GOOD, path: 'ENODEV', probe: 'EINVAL', registration: 'EINVAL' };
/** mlx5_ib gave up. */
const WITHOUT_RDMA_DEVICE: NicAnswers = { reason: 'WaitingForDriver', context: 'none' };
/** Paired, but mlx5_ib cannot make the queue by which it writes memory keys. */
const noKeys = (errno: string): NicAnswers => ({
  ...GOOD,
  reason: 'RegistrationFailed',
  probe: errno,
  registration: errno,
  ordinary: errno,
});

const without = (capability: keyof NonNullable<Faults['capabilities']>, expected: NicAnswers): Row => ({
  faults: { capabilities: { [capability]: 0 } },
  expected,
});
const fails = (command: keyof NonNullable<Faults['commands']>, expected: NicAnswers): Row => ({
  faults: { commands: { [command]: { status: 2 } } },
  expected,
});

const rows: Readonly<Record<string, Row>> = {
  'as it should be': { expected: GOOD },

  'without data_direct': without('data_direct', { ...NOT_PAIRED, reason: 'FunctionDisabled' }),
  'without query_vuid': without('query_vuid', { ...NOT_PAIRED, reason: 'FunctionDisabled' }),
  'without hca_cap_2': without('hca_cap_2', { ...NOT_PAIRED, reason: 'FunctionDisabled' }),
  'without crossing_vhca_mkey': without('crossing_vhca_mkey', {
    ...GOOD,
    reason: 'RegistrationFailed',
    registration: 'EOPNOTSUPP',
  }),
  'without pg': { ...without('pg', GOOD), on: { '7.3': { ordinary: 'EOPNOTSUPP' } } },
  'without xrc': without('xrc', WITHOUT_RDMA_DEVICE),
  // The port is then asked by datagrams, and is not there.
  'without ib_virt': without('ib_virt', { ...noKeys('EINVAL'), reason: 'PortDown' }),
  'without log_max_qp_sz': without('log_max_qp_sz', noKeys('ENOMEM')),
  'without log_max_srq_sz': without('log_max_srq_sz', noKeys('EINVAL')),
  'without log_max_cq_sz': without('log_max_cq_sz', noKeys('EINVAL')),
  'without max_wqe_sz_sq': without('max_wqe_sz_sq', noKeys('EINVAL')),
  'without max_wqe_sz_rq': without('max_wqe_sz_rq', noKeys('EINVAL')),
  'without event queues': {
    faults: { capabilities: { log_max_eq: 0, max_num_eqs: 0 } },
    expected: WITHOUT_RDMA_DEVICE,
  },
  // Doorbells are then rung where no device looks, and the driver waits for its memory key for ever.
  'without log_bf_reg_size': {
    ...without('log_bf_reg_size', { reason: 'Paired', context: 'ok', path: ADDRESS.dma0 }),
    memory: false,
  },

  'QUERY_VUID is refused': fails('QUERY_VUID', WITHOUT_RDMA_DEVICE),
  'QUERY_VUID is refused with another status': {
    faults: { commands: { QUERY_VUID: { status: 0x0f, syndrome: 0x1234 } } },
    expected: WITHOUT_RDMA_DEVICE,
  },
  'QUERY_VUID is never answered': {
    faults: { commands: { QUERY_VUID: 'no answer' }, commandTimeoutMs: 1000 },
    expected: WITHOUT_RDMA_DEVICE,
  },
  'QUERY_VUID names no function': { faults: { vuids: [] }, expected: { ...NOT_PAIRED, reason: 'NoDmaFunction' } },
  'QUERY_VUID names a function that is not there': {
    faults: { vuids: ['MT2512XZ0000000000000000000000000'] },
    expected: { ...NOT_PAIRED, reason: 'NoDmaFunction' },
  },
  'ALLOC_TRANSPORT_DOMAIN is refused': fails('ALLOC_TRANSPORT_DOMAIN', { reason: 'KernelRefused', context: 'EINVAL' }),
  'port down': { faults: { port: 'down' }, expected: { ...GOOD, reason: 'PortDown' } },
  'like a VF, data direct off': { nic: 'vf0', expected: { ...NOT_PAIRED, reason: 'FunctionDisabled' } },
};

export function nicAnswers(tray: () => TrayMachine, kernel: KernelSeries): void {
  describe('a NIC', () => {
    const answers = new Map<string, unknown>();

    beforeAll(async () => {
      // A round of driver-core asks every NIC: those that are not the row's have no driver meanwhile.
      await tray().run(({ drivers }, others) => others.forEach((nic) => drivers.unbind(nic)), [
        [ADDRESS.nic1, ADDRESS.vf0],
      ] as const);
      for (const [name, row] of Object.entries(rows)) {
        answers.set(name, await ask(tray(), row).catch((error: Error) => error.message));
      }
    }, 300_000);

    test.each(Object.entries(rows))('%s', (name, { expected, on }) => {
      expect(answers.get(name)).toEqual({ ...expected, ...on?.[kernel] });
    });
  });
}

async function ask(tray: TrayMachine, { nic = 'nic0', faults, memory = true }: Row): Promise<NicAnswers> {
  if (faults !== undefined) await tray.setFaults(nic, faults);
  await tray.rebind(nic);
  return tray.run(
    async ({ openLinuxHost, askNic }, address, options) => askNic(await openLinuxHost(), address, options),
    [ADDRESS[nic], { memory }] as const,
  );
}
