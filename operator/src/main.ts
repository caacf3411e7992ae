// The operator's process: reads what it is told, opens the doors, runs until it is asked to end. All else is elsewhere.
import { connect, inCluster, type KubeApi } from '@data-direct/kube';
import { createLog, errorFields, type Log, readCommandLine } from '@data-direct/process';

import { type Config, readConfig, readPod } from './config.ts';
import { startOperator } from './operator.ts';
import { retire } from './retire.ts';

type Doors = Parameters<typeof retire>[0];

const log = createLog('info');
try {
  const { command, configFile } = readCommandLine(process.argv.slice(2), ['run', 'retire']);
  const config = readConfig(configFile);
  log.level = config.logLevel;
  const doors = open(config, log);
  if (command === 'retire') {
    await retire(doors);
    process.exit(0);
  }
  await run(doors);
} catch (error) {
  log.fatal(errorFields(error), 'cannot go on');
  process.exit(1);
}

function open(config: Config, logger: Log): Doors {
  const pod = readPod(process.env);
  return { api: apiFor(pod), config, pod, log: logger };
}

function apiFor({ name }: Doors['pod']): KubeApi {
  return connect(inCluster(), { userAgent: `data-direct-operator (${name})` });
}

async function run(doors: Doors): Promise<void> {
  const operator = await startOperator({
    ...doors,
    reviewer: apiFor(doors.pod),
    onLost: (error) => {
      log.fatal(errorFields(error), 'leadership is lost; another replica goes on');
      process.exit(1);
    },
  });
  const end = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'ending');
    void operator.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.fatal(errorFields(error), 'did not end cleanly');
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', end).once('SIGINT', end);
}
