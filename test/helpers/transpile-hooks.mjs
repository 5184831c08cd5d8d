// The loaders that tap gives to each test process. They serve `t.mockImport` and the coverage
// report, which these tests do not use, and take half of the start time of a process.
const TAP_LOADERS = /[\\/]@tapjs[\\/](mock|processinfo)[\\/]dist[\\/]esm[\\/]import\.mjs$/

/**
 * Passes each TypeScript file to the CommonJS loader, in which `transpile.cjs` compiles it.
 * Replaces tap's own loaders by an empty module.
 */
export async function load (url, context, nextLoad) {
  if (url.endsWith('.ts')) return { format: 'commonjs', source: null, shortCircuit: true }
  if (TAP_LOADERS.test(url)) return { format: 'module', source: '', shortCircuit: true }
  return nextLoad(url, context)
}
