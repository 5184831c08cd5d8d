/**
 * True in `npm run test:long`. Files that read it run there with more seeds, connections, seconds
 * or kinds of clients than in `npm test`. The script in package.json lists them.
 */
export const LONG = process.env.TEST_SCALE === 'long'
