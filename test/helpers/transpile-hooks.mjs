/** Passes each TypeScript file to the CommonJS loader, in which `transpile.cjs` compiles it. */
export async function load (url, context, nextLoad) {
  if (url.endsWith('.ts')) return { format: 'commonjs', source: null, shortCircuit: true }
  return nextLoad(url, context)
}
