// How the server of virtual functions gives up on something: a stable code and one sentence for each. What a guest does wrong is
// answered with the device's own error status instead, see nic/status.ts.
import { errorsOf } from '../../rig/errors.ts';

export const serverError = errorsOf({
  SYSTEM_CALL: (f: { call: string; errno: number; about: string }) =>
    `${f.about}: ${f.call} failed with errno ${f.errno}`,
  PROTOCOL: (f: { function: string; problem: string }) =>
    `${f.function}: the vfio-user client ${f.problem}; its connection is closed`,
  TRAY_INVALID: (f: { where: string; problem: string }) => `tray: ${f.where}: ${f.problem}`,
  SERVER_ENDED: (f: { how: string; said: string }) => `the tray's server ${f.how}: ${f.said || 'it said nothing'}`,
  CONTROL_UNANSWERED: (f: { request: string; said: string }) =>
    `the tray's server gave no answer to ${f.request}; what it said last: ${f.said || 'nothing'}`,
  CONTROL_REFUSED: (f: { problem: string }) => `the tray refused: ${f.problem}`,
  CONTROL_INVALID: (f: { where: string; problem: string }) => `control request: ${f.where}: ${f.problem}`,
});
