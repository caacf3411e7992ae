// The version of the agent; package.json's, which a bundle does not carry along. A test holds the two together.
export const AGENT_VERSION = '0.1.0';
