// The face of this room: what each of our programs needs to run, whatever it does. Nothing here knows paths, policies or pods.
export * from './configuration.ts';
export * from './error.ts';
export * from './log.ts';
export * from './pages.ts';
