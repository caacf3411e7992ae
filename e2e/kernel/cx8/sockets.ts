// The sockets of a served tray: one for each function, one to control it.
import { join } from 'node:path';

export const CONTROL_SOCKET = 'control.sock';

export function functionSocket(directory: string, name: string): string {
  return join(directory, `${name}.sock`);
}
