import { closeSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serveControl } from './control.ts';
import { Loop } from './loop.ts';
import { connect, receive, send } from './native.ts';
import { CONTROL_SOCKET, functionSocket } from './sockets.ts';
import { smallTray } from './tray.fixture.ts';
import { Tray } from './tray.ts';

/** More than any case needs: a server that does not answer fails the case instead of holding it up. */
const mostTurns = 20;

let directory: string;
let loop: Loop;
let tray: Tray;
let client: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tray-control-test-'));
  loop = new Loop();
  tray = new Tray(smallTray(), directory, loop, () => {});
  tray.plug();
  serveControl(tray, join(directory, CONTROL_SOCKET), loop);
  client = connect(join(directory, CONTROL_SOCKET));
});

afterEach(() => {
  tray.unplug();
  closeSync(client);
  rmSync(directory, { recursive: true });
});

/** What the server has sent so far, a value a line; 'end' when it has closed the connection. */
function answers(fd = client): unknown[] | 'end' {
  const bytes = Buffer.alloc(64 * 1024);
  let have = 0;
  for (let turn = 0; turn < mostTurns; turn += 1) {
    loop.turn(0);
    const received = receive(fd, bytes, have, bytes.length - have);
    if (received === 'end') return 'end';
    if (received !== 'nothing yet') have += received.bytes;
  }
  const lines = bytes.toString('utf8', 0, have).split('\n');
  return lines.slice(0, -1).map((line) => JSON.parse(line) as unknown);
}

function ask(text: string): unknown {
  send(client, Buffer.from(`${text}\n`));
  const all = answers();
  return all === 'end' ? 'end' : all[0];
}
const request = (json: object): unknown => ask(JSON.stringify(json));

describe('a tray that is controlled', () => {
  it('takes faults and gives them back up, NIC by NIC', () => {
    const faults = { commands: { QUERY_VUID: { status: 5 } }, port: 'down', domainsExchanged: true };
    expect(request({ do: 'faults', nic: 'nic1', faults })).toEqual({ ok: {} });
    expect(tray.nics.get('nic1')?.faults).toEqual({ ...faults, commands: { QUERY_VUID: { status: 5, syndrome: 0 } } });
    expect(tray.nics.get('nic0')?.faults).toEqual({});
    expect(request({ do: 'faults', nic: 'nic1', faults: {} })).toEqual({ ok: {} });
    expect(tray.nics.get('nic1')?.faults).toEqual({});
  });

  it('reports what a NIC has done', () => {
    expect(request({ do: 'report', nic: 'nic0' })).toEqual({
      ok: { commands: {}, traffic: {}, memoryKeys: 0, queuePairs: 0 },
    });
  });

  it('unplugs a function and plugs it in again', () => {
    const isThere = (): boolean => readdirSync(directory).includes('dma0.sock');
    expect([request({ do: 'unplug', function: 'dma0' }), isThere()]).toEqual([{ ok: {} }, false]);
    expect([request({ do: 'plug', function: 'dma0' }), isThere()]).toEqual([{ ok: {} }, true]);
    closeSync(connect(functionSocket(directory, 'dma0')));
  });

  it('takes a request in pieces and several at once, and answers each in turn', () => {
    const lines = [
      { do: 'report', nic: 'nic0' },
      { do: 'plug', function: 'gpu0' },
    ].map((one) => JSON.stringify(one));
    const text = `${lines.join('\n')}\n`;
    send(client, Buffer.from(text.slice(0, 10)));
    expect(answers()).toEqual([]);
    send(client, Buffer.from(text.slice(10)));
    expect(answers()).toEqual([{ ok: expect.objectContaining({ memoryKeys: 0 }) }, { ok: {} }]);
  });

  const wrong: Readonly<Record<string, [text: string, complaint: string]>> = {
    'no JSON': ['{"do":', 'JSON'],
    'no request': ['7', 'control request: $: '],
    'a request that nobody knows': ['{"do":"dance"}', 'control request: $.do: '],
    'a NIC that is not there': ['{"do":"report","nic":"nic9"}', 'control request: nic9: there are nic0, nic1'],
    'a function that is not there': [
      '{"do":"unplug","function":"dma9"}',
      'dma9: there are nic0, nic1, dma0, dma1, gpu0',
    ],
    'a VPD for a function without one': ['{"do":"vpd","dmaFunction":"gpu0","vpd":""}', 'gpu0: there are dma0, dma1'],
    'a VPD that is no base64': ['{"do":"vpd","dmaFunction":"dma0","vpd":"?"}', '$.vpd: base64 of a VPD image'],
    'a fault that nobody knows': ['{"do":"faults","nic":"nic0","faults":{"smoke":true}}', '$.faults: '],
    'a fault of an unknown command': [
      '{"do":"faults","nic":"nic0","faults":{"commands":{"FLY":"no answer"}}}',
      '$.faults.commands.FLY: ',
    ],
    'a status that would be success': [
      '{"do":"faults","nic":"nic0","faults":{"commands":{"ALLOC_PD":{"status":0}}}}',
      '$.faults.commands.ALLOC_PD.status: ',
    ],
  };
  for (const [what, [text, complaint]] of Object.entries(wrong)) {
    it(`refuses ${what} by place and reason, and goes on`, () => {
      expect(ask(text)).toEqual({ error: expect.stringContaining(complaint) });
      expect(request({ do: 'faults', nic: 'nic0', faults: {} })).toEqual({ ok: {} });
    });
  }

  it('hangs up on a client whose line never ends, and goes on with the next', () => {
    for (let sent = 0; sent < 80 * 1024; sent += 8192) {
      if (!send(client, Buffer.alloc(8192, 'x'))) break;
      loop.turn(0);
    }
    expect(answers()).toBe('end');
    const next = connect(join(directory, CONTROL_SOCKET));
    send(next, Buffer.from('{"do":"report","nic":"nic0"}\n'));
    expect(answers(next)).toHaveLength(1);
    closeSync(next);
  });

  it('hangs up on a client that reads no answers instead of waiting for it', () => {
    const line = Buffer.from(`${JSON.stringify({ do: 'report', nic: 'nic0' })}\n`.repeat(100));
    let open = true;
    for (let count = 0; count < 1000 && open; count += 1) {
      open = send(client, line);
      loop.turn(0);
    }
    expect(open).toBe(false);
  });

  it('forgets a client that goes in the middle of a request', () => {
    request({ do: 'report', nic: 'nic0' });
    const before = readdirSync('/proc/self/fd').length;
    const hasty = connect(join(directory, CONTROL_SOCKET));
    send(hasty, Buffer.from('{"do":'));
    loop.turn(0);
    closeSync(hasty);
    expect(answers()).toEqual([]);
    expect(readdirSync('/proc/self/fd').length).toBe(before);
    expect(request({ do: 'faults', nic: 'nic0', faults: {} })).toEqual({ ok: {} });
  });
});
