import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import type { Teardown } from './server.ts'

/** The path of a program, or undefined. */
export function findProgram (name: string): string | undefined {
  return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** For `t.test(name, { skip: … })`: a reason when the program is not there. In CI it must be, so there the test fails instead. */
export function skipWithout (name: string): string | false {
  return findProgram(name) !== undefined || process.env['CI'] === 'true' ? false : `${name} is not on the PATH`
}

/** A page in a browser of its own, with a fresh profile. What the page throws or logs as an error is kept in `problems`. */
export async function openPage (t: Teardown, url: string): Promise<{ page: Page, problems: string[] }> {
  const executablePath = findProgram('chromium')
  if (executablePath === undefined) throw new Error('chromium is not on the PATH')
  const profile = await mkdtemp(join(tmpdir(), 'websock-browser-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
  })
  t.teardown(async () => {
    await context.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  })
  context.setDefaultTimeout(20_000)
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()) })
  await page.goto(url)
  return { page, problems }
}
