// What a person sees while something takes minutes: a line at the start, one now and then, one at the end.

export type Report = (line: string) => void;

const keepAliveMs = 15_000;

export interface Step {
  /** What is being worked on just now; shown in the next line of the step. */
  note(text: string): void;
}

export async function reported<T>(report: Report, title: string, work: (step: Step) => Promise<T>): Promise<T> {
  const begun = performance.now();
  const seconds = (): string => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
  let latest = '';
  report(`${title} …`);
  const timer = setInterval(() => report(`${title}: ${seconds()} so far${latest && `, ${latest}`}`), keepAliveMs);
  try {
    const result = await work({ note: (text) => (latest = text) });
    report(`${title}: done in ${seconds()}`);
    return result;
  } catch (error) {
    report(`${title}: failed after ${seconds()}`);
    throw error;
  } finally {
    clearInterval(timer);
  }
}
