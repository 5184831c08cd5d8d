import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const ROOT = join(__dirname, '../..')

/** The text of a file, by its path from the root of the repository. */
export function readPage (path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

/** The rows of the first table under a heading of level two, cell by cell. */
export function tableUnder (heading: string, page: string): string[][] {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  const body = section.split('\n## ')[0] ?? ''
  const table = /(?:^\|.*\n)+/m.exec(`${body}\n`)?.[0] ?? ''
  return table.trimEnd().split('\n').slice(2).map(cellsOf)
}

function cellsOf (line: string): string[] {
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim())
}

/** The relative links of a page, as paths from the root of the repository. */
export function linksOf (page: string): Array<{ path: string, anchor: string }> {
  const text = readPage(page).replace(/```[^]*?```/g, '').replace(/`[^`\n]*`/g, '')
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor = ''] = target.split('#')
      return { path: path === '' ? page : join(dirname(page), path), anchor }
    })
}
