import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import tap from 'tap'
import type { Teardown } from './server.ts'

/** The path of a program, or undefined. */
export function findProgram (name: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/**
 * The value for `t.test(name, { skip: … })`: a reason when the program is missing. With CI=true it
 * is false, so that the test fails instead.
 */
export function skipWithout (name: string): string | false {
  return findProgram(name) !== undefined || process.env['CI'] === 'true'
    ? false
    : `${name} is not on the PATH`
}

/** One browser for all tests of a file. */
let browser: Promise<Browser> | undefined

/**
 * Opens a page in a new context, with empty cookies, storage and cache. `problems`: the errors that
 * the page throws or logs.
 */
export async function openPage (
  t: Teardown,
  url: string
): Promise<{ page: Page, problems: string[] }> {
  const context = await (await (browser ??= startBrowser())).newContext()
  t.teardown(() => context.close())
  context.setDefaultTimeout(20_000)
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()) })
  await page.goto(url)
  return { page, problems }
}

/** Starts the browser. It is closed when the tests of the file have ended. */
async function startBrowser (): Promise<Browser> {
  const executablePath = findProgram('chromium')
  if (executablePath === undefined) throw new Error('chromium is not on the PATH')
  // Loaded here: many tests import this file only for `skipWithout`.
  const { chromium } = await import('playwright-core')
  const started = await chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync'
    ]
  })
  tap.teardown(() => started.close())
  return started
}
