import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startBroker, type Program } from './brokers.ts'
import type { Teardown } from './server.ts'

const PROMETHEUS: Program = {
  name: 'prometheus',
  args: (port, folder) => [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`
  ],
  ready: /Server is ready to receive web requests/,
  taken: /address already in use/
}

/** One series of an answer. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly value: number
}

/** A Prometheus that scrapes one server each second. */
export interface Prometheus {
  /** Resolves with the answer to an instant query. Rejects with the error of Prometheus. */
  readonly query: (text: string) => Promise<Series[]>
}

/** Starts a Prometheus. It is stopped when the test ends. */
export async function startPrometheus (t: Teardown, targetPort: number): Promise<Prometheus> {
  const { port } = await startBroker(t, PROMETHEUS, async (folder) => {
    await writeFile(join(folder, 'prometheus.yml'), [
      'global: { scrape_interval: 1s, scrape_timeout: 1s }',
      'scrape_configs:',
      `  - { job_name: example, static_configs: [{ targets: ['127.0.0.1:${targetPort}'] }] }`,
      ''
    ].join('\n'))
  })
  return {
    query: async (text) => {
      const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(text)}`
      const { status, error, data } = await (await fetch(url)).json() as {
        status: string
        error?: string
        data: { result: Array<{ metric: Record<string, string>, value: [number, string] }> }
      }
      if (status !== 'success') throw new Error(`${text}: ${error ?? status}`)
      return data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }))
    }
  }
}

/**
 * Repeats the query until `isWanted` accepts the answer. Rejects after `timeoutMs` with the last
 * answer.
 */
export async function untilAnswered (
  prometheus: Prometheus,
  text: string,
  isWanted: (series: Series[]) => boolean,
  timeoutMs = 30_000
): Promise<Series[]> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const series = await prometheus.query(text)
    if (isWanted(series)) return series
    if (performance.now() > deadline) throw new Error(`${text}: ${JSON.stringify(series)}`)
    await wait(250)
  }
}
