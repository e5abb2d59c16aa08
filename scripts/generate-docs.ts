/**
 * Writes docs/generated from the lists and declarations in the source, and the generated parts of
 * docs/client. With `--check` it writes nothing and exits with 1 when a page is not what the source
 * says.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import * as httpLimits from '../src/http/http-limits.ts'
import { ERROR_CODES } from '../src/lib/errors.ts'
import * as limits from '../src/lib/limits.ts'
import { REASONS } from '../src/lib/reasons.ts'
import { HOST_METRICS } from '../src/ops/host-metrics.ts'
import { metricsMarkdown } from '../src/ops/metrics.ts'
import { optionsMarkdown } from '../src/ops/option-docs.ts'
import { RELAY_METRICS } from '../src/ops/relay-metrics.ts'
import { RELAY_OPTIONS } from '../src/ops/relay-options.ts'
import { SIM_OPTIONS } from '../src/ops/sim-options.ts'
import { apiPages } from './api-pages.ts'
import { commandsPage } from './command-page.ts'
import { Declarations } from './declarations.ts'
import { generatedParts, methodSignatures, withPart } from './method-pages.ts'

const ROOT = new URL('../', import.meta.url)

/** Where the pages are. */
export const GENERATED_DIRECTORY: URL = new URL('docs/generated/', ROOT)

/** Every page with its text: by its name below docs/generated, or its path if it is elsewhere. */
export function generatedPages(): ReadonlyMap<string, string> {
  using declarations = new Declarations()
  return new Map([
    ...apiPages(declarations),
    ...clientPages(declarations),
    ['reasons.md', reasonsPage()],
    ['errors.md', errorsPage()],
    ['limits.md', limitsPage()],
    ['options.md', optionsMarkdown('Options of `skein relay`', RELAY_OPTIONS)],
    ['commands.md', commandsPage()],
    ['sim-options.md', optionsMarkdown('Options of `skein sim`', SIM_OPTIONS)],
    ['metrics.md', metricsPage()],
  ])
}

/** The pages of the client as they are, with what is generated of them renewed. */
function clientPages(declarations: Declarations): readonly (readonly [string, string])[] {
  const { declarations: found } = declarations.file('client/calls/sync-client')
  const client = found.find(({ name }) => name === 'SyncClient')
  const parts = generatedParts(methodSignatures(client?.signature ?? ''))
  const pages = [...parts].map(([path, part]) => {
    return [path, withPart(readPage(path) ?? '', part)] as const
  })
  const shown = ['docs/client/guide.md', 'README.md']
  return [...pages, ...shown.map((name) => [name, withExamples(readPage(name) ?? '')] as const)]
}

/** A page with the files that it shows as they are, importing entry points as users do. */
function withExamples(page: string): string {
  const copy = /(<!-- (examples\/[\w.-]+) -->\n\n```ts\n)[\s\S]*?(?=```\n)/g
  return page.replaceAll(copy, (_, head: string, path: string) => {
    const source = readFileSync(new URL(path, ROOT), 'utf8')
    return head + source.replaceAll(/'\.\.\/src\/([a-z-]+)\/index\.ts'/g, "'skein/$1'")
  })
}

/** Names of the pages whose file is missing or differs. */
export function stalePages(): readonly string[] {
  return [...generatedPages()]
    .filter(([name, text]) => text !== readPage(name))
    .map(([name]) => name)
}

/** Pages that are written by hand but for a part stand where they belong. */
function placeOf(name: string): URL {
  const isElsewhere = name === 'README.md' || name.startsWith('docs/')
  return new URL(name, isElsewhere ? ROOT : GENERATED_DIRECTORY)
}

function readPage(name: string): string | null {
  try {
    return readFileSync(placeOf(name), 'utf8')
  } catch {
    return null
  }
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  return lines.join('\n')
}

function reasonsPage(): string {
  const rows = Object.entries(REASONS).map(([name, { kind, text }]) => [`\`${name}\``, kind, text])
  return [
    '# Reasons',
    '',
    'Why something from the network is refused, deferred or remarked upon. The names are labels of',
    '`skein_events_dropped_total` and fields of log lines.',
    '',
    table(['reason', 'kind', 'meaning'], rows),
    '',
  ].join('\n')
}

function metricsPage(): string {
  const tables = [
    metricsMarkdown('`skein relay`', RELAY_METRICS),
    metricsMarkdown('A repository host', HOST_METRICS),
  ]
  return ['# Metrics\n', ...tables.map((text) => `#${text}`)].join('\n')
}

function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(([code, text]) => [`\`${code}\``, text])
  return ['# Errors', '', table(['code', 'what it means and what to do'], rows), ''].join('\n')
}

function limitsPage(): string {
  return [
    '# Limits',
    '',
    'Bounds that are not options.',
    '',
    '## The protocol',
    '',
    limitsTable('src/lib/limits.ts', limits),
    '',
    '## HTTP',
    '',
    limitsTable('src/http/http-limits.ts', httpLimits),
    '',
  ].join('\n')
}

/** One constant with the comment above it. */
const CONSTANT = /^\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport const ([A-Z0-9_]+)\b/gm

function limitsTable(file: string, values: Readonly<Record<string, number>>): string {
  const source = readFileSync(new URL(file, ROOT), 'utf8')
  const rows = [...source.matchAll(CONSTANT)].map(([, comment = '', name = '']) => [
    `\`${name}\``,
    (values[name] ?? 0).toLocaleString('en-US'),
    comment.replaceAll(/\s*\n \* ?/g, ' ').trim(),
  ])
  if (rows.length !== Object.keys(values).length) {
    throw new Error(`${file}: a limit has no comment of its own`)
  }
  return table(['limit', 'value', 'meaning and reason'], rows)
}

function main(args: readonly string[]): number {
  const stale = stalePages()
  if (args.includes('--check')) {
    for (const name of stale) process.stderr.write(`${name} is stale: npm run docs\n`)
    return stale.length === 0 ? 0 : 1
  }
  mkdirSync(new URL('api/', GENERATED_DIRECTORY), { recursive: true })
  const pages = generatedPages()
  for (const [name, text] of pages) writeFileSync(placeOf(name), text)
  process.stdout.write(`docs: ${stale.length} of ${pages.size} pages changed\n`)
  return 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = main(process.argv.slice(2))
}
