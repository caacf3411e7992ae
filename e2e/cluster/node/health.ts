// Whether a component of the node answers.

import http from 'node:http';
import https from 'node:https';
import { connect } from 'node:net';
import type { Component } from './components.ts';

const answerTimeoutMs = 1_000;

/** undefined: it works. Otherwise what is wrong, in a few words. */
export async function unhealthy({ health }: Component): Promise<string | undefined> {
  const asked = 'url' in health ? askUrl(health.url) : askSocket(health.socket);
  return asked.then(
    () => undefined,
    (error: Error) => error.message,
  );
}

function askUrl(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const get = url.startsWith('https:') ? https.get : http.get;
    // Scheduler and controller manager make their own certificates, and nothing secret is asked or told here.
    const options = { agent: false, rejectUnauthorized: false, timeout: answerTimeoutMs };
    const request = get(url, options, (response) => {
      response.resume();
      if (response.statusCode === 200) resolve();
      else reject(new Error(`${url} answered ${response.statusCode}`));
    });
    request.on('timeout', () => request.destroy(new Error(`${url} did not answer within ${answerTimeoutMs} ms`)));
    request.on('error', (error) => reject(new Error(`${url}: ${error.message}`, { cause: error })));
  });
}

function askSocket(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.setTimeout(answerTimeoutMs, () => socket.destroy(new Error(`${path} did not accept`)));
    socket.on('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', reject);
  });
}
