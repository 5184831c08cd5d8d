/**
 * Whether this is `npm run test:long`. Files that it lists in package.json repeat there what they
 * do in `npm test`, with more seeds, connections, seconds or kinds of clients.
 */
export const LONG = process.env.TEST_SCALE === 'long'
