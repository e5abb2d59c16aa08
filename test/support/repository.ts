/** The repository as files: what is there, what it says, what imports what. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'

import { splitText, type SplitText } from './source-text.ts'

const ROOT = new URL('../../', import.meta.url)

/** What is installed, built or written by running. */
const SKIPPED: ReadonlySet<string> = new Set(['node_modules', 'dist', '.git', 'data', 'coverage'])

/** A file of TypeScript or JavaScript. Paths are relative to the root, with slashes. */
export interface SourceFile extends SplitText {
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
}

/** One import. `target` is the path of a file of ours, else null. */
export interface Import {
  readonly specifier: string
  readonly target: string | null
  /** `run` is evaluated before the importer; `type` is erased; `later` is loaded when asked for. */
  readonly kind: 'run' | 'type' | 'later'
}

/** Text of a file; `path` is relative to the root. */
export function readText(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

/** Whether a file or folder is there. */
export function isPresent(path: string): boolean {
  return existsSync(new URL(path, ROOT))
}

/**
 * Paths of every file below `folder` (the root: an empty text), sorted; nothing that is installed.
 */
export function filesBelow(folder: string): string[] {
  const found: string[] = []
  const visit = (path: string): void => {
    for (const entry of readdirSync(new URL(`${path}/`, ROOT), { withFileTypes: true })) {
      // The state of a relay that was tried out here; src/data is ours.
      if (SKIPPED.has(entry.name) && (entry.name !== 'data' || path === '.')) continue
      const inside = path === '.' ? entry.name : `${path}/${entry.name}`
      if (entry.isDirectory()) visit(inside)
      else found.push(inside)
    }
  }
  visit(folder === '' ? '.' : folder)
  return found.sort()
}

const IMPORT = /((?<!\.)\b(?:from|import\(|import|require\())\s*'([^'\n]+)'/g
/** The beginning of the statement that a `from` ends, when its names are types. */
const TYPE_IMPORT = /\b(?:import|export)\s+type\b[^'";]*$/
/** A script that is started rather than imported. */
const SCRIPT = /\bnew URL\(\s*'([^'\n]+\.ts)',\s*import\.meta\.url/g

/** Every source file below the folders. */
export function sourceFiles(...folders: readonly string[]): SourceFile[] {
  return folders
    .flatMap((folder) => filesBelow(folder))
    .filter((path) => /\.(?:ts|mjs)$/.test(path))
    .map((path) => {
      const text = readText(path)
      const split = splitText(text)
      const { code, uncommented } = split
      return { path, text, code, uncommented, imports: importsOf(path, split) }
    })
}

function importsOf(path: string, { code, uncommented }: SplitText): Import[] {
  const imports: Import[] = []
  for (const { 1: keyword = '', 2: specifier = '', index } of uncommented.matchAll(IMPORT)) {
    // Inside a string there is no import: its keyword is blank in `code`.
    if (code[index] === ' ') continue
    const isType = TYPE_IMPORT.test(code.slice(Math.max(0, index - 2_000), index))
    const kind = keyword.endsWith('(') ? 'later' : isType ? 'type' : 'run'
    imports.push({ specifier, target: targetOf(path, specifier), kind })
  }
  for (const { 1: script = '' } of uncommented.matchAll(SCRIPT)) {
    const specifier = script.startsWith('.') ? script : `./${script}`
    imports.push({ specifier, target: targetOf(path, specifier), kind: 'later' })
  }
  return imports
}

function targetOf(importer: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null
  return posix.join(posix.dirname(importer), specifier)
}

/** The folder of `src` that a file belongs to; null for files elsewhere. */
export function layerOf(path: string): string | null {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? null
}

/** Whether a file is there for tests only. */
export function isTestFile(path: string): boolean {
  return path.endsWith('.test.ts') || path.includes('/testing/') || path.startsWith('test/')
}

/**
 * Everything that `entries` import, themselves included. `resolve` gives targets of what is not a
 * path.
 */
export function reachable(
  files: readonly SourceFile[],
  entries: Iterable<string>,
  resolve: (specifier: string) => readonly string[] = () => [],
): Set<string> {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const seen = new Set<string>()
  const pending = [...entries]
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (seen.has(path)) continue
    seen.add(path)
    for (const { specifier, target } of byPath.get(path)?.imports ?? []) {
      pending.push(...(target === null ? resolve(specifier) : [target]))
    }
  }
  return seen
}

/**
 * A cycle of imports that are evaluated, as a path that ends where it began; null when there is
 * none. Files may know each other's types.
 */
export function findCycle(files: readonly SourceFile[]): readonly string[] | null {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const done = new Set<string>()
  const visit = (path: string, above: readonly string[]): readonly string[] | null => {
    const at = above.indexOf(path)
    if (at >= 0) return [...above.slice(at), path]
    if (done.has(path)) return null
    for (const { target, kind } of byPath.get(path)?.imports ?? []) {
      const cycle = target === null || kind !== 'run' ? null : visit(target, [...above, path])
      if (cycle !== null) return cycle
    }
    done.add(path)
    return null
  }
  for (const { path } of files) {
    const cycle = visit(path, [])
    if (cycle !== null) return cycle
  }
  return null
}

/**
 * The rows of the first table of a Markdown text whose first columns are `head`; without backticks.
 */
export function tableRows(markdown: string, ...head: readonly string[]): string[][] {
  const lines = markdown.split('\n').map((line) => (line.startsWith('|') ? cellsOf(line) : null))
  const start = lines.findIndex((cells) => head.every((name, i) => cells?.[i] === name))
  if (start < 0) throw new Error(`no table begins with: ${head.join(' | ')}`)
  const end = lines.indexOf(null, start)
  return lines
    .slice(start + 2, end < 0 ? lines.length : end)
    .flatMap((cells) => (cells === null ? [] : [cells]))
}

function cellsOf(line: string): string[] {
  const cells = line.split('|').slice(1, -1)
  return cells.map((cell) => cell.trim().replaceAll('`', ''))
}
