/** The rules of AGENTS.md that no other tool checks. Each failure names the places. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { ERROR_CODES } from '../src/lib/errors.ts'
import { REASONS } from '../src/lib/reasons.ts'
import {
  filesBelow,
  findCycle,
  isPresent,
  isTestFile,
  layerOf,
  reachable,
  readText,
  type SourceFile,
  sourceFiles,
  tableRows,
} from './support/repository.ts'
import {
  BANNED_CODE,
  BANNED_COMMENTS,
  BANNED_EVERYWHERE,
  type BannedCode,
  FUNCTION_LINES_MAX,
  LINE_CHARS_MAX,
  LINES_MAX,
  LONG_TESTS,
  MACHINE_PATHS,
  NODE_ONLY_STREAM,
  OUTSIDE_ON_PURPOSE,
  PURE_LAYERS,
  STARTED,
  TEST_LINES_MAX,
  UNUSED_CODES,
  UNWANTED_WORD_HASHES,
} from './support/tidy-rules.ts'

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
  readonly scripts: Readonly<Record<string, string>>
}

const GUIDE = readText('AGENTS.md')
const MANIFEST = JSON.parse(readText('package.json')) as Manifest
const LAYERS: ReadonlyMap<string, number> = new Map(
  tableRows(GUIDE, 'n', 'folder').map(([n = '', folder = '']) => [folder, Number(n)]),
)

const OURS = sourceFiles('src', 'test', 'scripts', 'bench', 'interop', 'examples')
const SOURCE = OURS.filter(({ path }) => path.startsWith('src/'))
const SHIPPED = SOURCE.filter(({ path }) => !isTestFile(path))
const PATHS: ReadonlySet<string> = new Set(OURS.map(({ path }) => path))
const FOLDERS = [...new Set(SOURCE.flatMap(({ path }) => layerOf(path) ?? []))].sort()

/** What src/package.json picks by package condition. */
const CONDITIONAL = (
  JSON.parse(readText('src/package.json')) as {
    readonly imports: Readonly<Record<string, Readonly<Record<string, string>>>>
  }
).imports
/** All targets of `#runtime` and the like, or only what runs outside Node. */
const RUNTIMES = ['node', 'default']
const WEB_RUNTIME = ['default']
const runtimes =
  (conditions: readonly string[]) =>
  (specifier: string): readonly string[] =>
    conditions.flatMap((condition) => {
      const target = CONDITIONAL[specifier]?.[condition]
      return target === undefined ? [] : [posix.join('src', target)]
    })

function none(found: readonly string[], rule: string): void {
  assert.deepEqual(found, [], rule)
}

test('the folders of src are those of the layer table', () => {
  assert(LAYERS.size >= 10 && [...LAYERS.values()].every((n) => Number.isInteger(n)))
  none(
    FOLDERS.filter((folder) => !LAYERS.has(folder)),
    'folders that AGENTS.md does not list',
  )
})

test('imports go down the layer table', () => {
  const wrong = SOURCE.flatMap(({ path, imports }) =>
    imports.flatMap(({ target }) => {
      const from = layerOf(path)
      const to = target === null ? from : layerOf(target)
      if (from === null || to === from) return []
      // Tests may look sideways, and use what is there for tests.
      if (to === null) return isTestFile(path) ? [] : [`${path} imports ${target ?? ''}`]
      const most = (LAYERS.get(from) ?? 0) - (isTestFile(path) ? 0 : 1)
      return (LAYERS.get(to) ?? Infinity) <= most ? [] : [`${path} imports ${target ?? ''}`]
    }),
  )
  none(wrong, 'a file imports its own folder or a lower number')
})

test('imports do not run in circles', () => {
  assert.equal(findCycle(SOURCE)?.join(' > '), undefined)
})

test('imports name the defining file, with its extension, and it is there', () => {
  // Examples stand for users, who import entry points.
  const wrong = OURS.filter(({ path }) => !path.startsWith('examples/')).flatMap(
    ({ path, imports }) =>
      imports.flatMap(({ specifier, target }) => {
        if (target === null) return []
        if (!PATHS.has(target)) return [`${path}: ${specifier} is not a source file`]
        return target.endsWith('/index.ts') ? [`${path}: ${specifier} is an index`] : []
      }),
  )
  none(wrong, 'import the defining file')
})

test('every file of src is used', () => {
  const entries = FOLDERS.map((folder) => `src/${folder}/index.ts`)
  const used = reachable(SOURCE, [...entries, ...STARTED], runtimes(RUNTIMES))
  const tests = OURS.filter(({ path }) => isTestFile(path) && path.endsWith('.test.ts'))
  const tested = reachable(
    OURS,
    tests.map(({ path }) => path),
    runtimes(RUNTIMES),
  )
  const orphans = SOURCE.filter(({ path }) => !(isTestFile(path) ? tested : used).has(path))
  none(
    orphans.map(({ path }) => path),
    'reachable from an index, the command or #runtime',
  )
})

test('every folder has an index that says what it is', () => {
  const wrong = FOLDERS.map((folder) => `src/${folder}/index.ts`).filter(
    (path) => !isPresent(path) || !/^\/\*\*(?:(?!\*\/)[\s\S])*@module/.test(readText(path)),
  )
  none(wrong, 'index.ts opens with a @module comment')
})

/** Whether a file must run in browsers and workers too. */
function isPure({ path }: SourceFile): boolean {
  const layer = layerOf(path) ?? ''
  if (PURE_LAYERS.includes(layer)) return true
  return layer === 'stream' && path !== 'src/stream/index.ts' && !NODE_ONLY_STREAM.includes(path)
}

test('what runs anywhere reaches nothing of Node', () => {
  none(
    NODE_ONLY_STREAM.filter((path) => !PATHS.has(path)),
    'listed files are there',
  )
  const entries = SHIPPED.filter((file) => isPure(file)).map(({ path }) => path)
  const reached = reachable(SOURCE, entries, runtimes(WEB_RUNTIME))
  const wrong = SHIPPED.filter(({ path }) => reached.has(path)).flatMap(({ path, imports }) =>
    imports
      .filter(({ specifier }) => specifier.startsWith('node:'))
      .map(({ specifier }) => `${path} imports ${specifier}`),
  )
  none(wrong, 'no import from node:')
})

function matches(files: readonly SourceFile[], { name, pattern, allowed }: BannedCode): string[] {
  const places = Object.keys(allowed)
  return files
    .filter(
      ({ path, code }) => !places.some((place) => path.startsWith(place)) && pattern.test(code),
    )
    .map(({ path, code }) => {
      const index = pattern.exec(code)?.index ?? 0
      return `${path}:${code.slice(0, index).split('\n').length}: ${name}`
    })
}

test('clocks, chance, the network and the process stand in their adapters', () => {
  none(
    BANNED_CODE.flatMap((rule) => matches(SHIPPED, rule)),
    'see test/support/tidy-rules.ts',
  )
  const idle = BANNED_CODE.flatMap(({ name, pattern, allowed }) =>
    Object.keys(allowed)
      .filter(
        (place) => !SHIPPED.some(({ path, code }) => path.startsWith(place) && pattern.test(code)),
      )
      .map((place) => `${name}: ${place}`),
  )
  none(idle, 'places that need no permission any more')
})

test('what no file may hold', () => {
  none(
    BANNED_EVERYWHERE.flatMap((rule) => matches(OURS, rule)),
    'see test/support/tidy-rules.ts',
  )
  const notes = OURS.flatMap(({ path, text }) =>
    BANNED_COMMENTS.filter((pattern) => pattern.test(text)).map((pattern) => `${path}: ${pattern}`),
  )
  none(notes, 'notes to oneself, and comments that switch the compiler off')
})

function lineCount(text: string): number {
  return text.split('\n').length - 1
}

test('files and comments have a bounded length', () => {
  const long = OURS.flatMap(({ path, text, uncommented }) => {
    const lines = text.split('\n')
    const rest = uncommented.split('\n')
    const most = path in LONG_TESTS && isTestFile(path) ? TEST_LINES_MAX : LINES_MAX
    const over = lineCount(text) > most ? [`${path}: ${lineCount(text)} lines`] : []
    // The width of code is the formatter's, which cannot break a string.
    const wide = lines.flatMap((line, i) =>
      line.length > LINE_CHARS_MAX && rest[i]?.trim() === ''
        ? [`${path}:${i + 1}: ${line.length} columns`]
        : [],
    )
    return [...over, ...wide]
  })
  none(long, `${LINES_MAX} lines, ${LINE_CHARS_MAX} columns`)
  const idle = Object.keys(LONG_TESTS).filter((path) => lineCount(readText(path)) <= LINES_MAX)
  none(idle, 'tests that need no permission to be long any more')
})

interface LintReport {
  readonly diagnostics: readonly {
    readonly code: string
    readonly message: string
    readonly filename: string
    readonly labels: readonly { readonly span: { readonly line: number } }[]
  }[]
}

/** Functions of more than 50 lines, which is where this rule of the linter begins. */
function longFunctions(): { path: string; line: number; lines: number }[] {
  const tool = fileURLToPath(new URL('../node_modules/oxlint/bin/oxlint', import.meta.url))
  const folders = [...new Set(OURS.map(({ path }) => path.split('/', 1)[0] ?? ''))]
  const rule = ['-A', 'all', '-D', 'max-lines-per-function', '-f', 'json']
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  const run = spawnSync(process.execPath, [tool, ...rule, ...folders], { cwd, encoding: 'utf8' })
  assert.equal(run.error, undefined)
  const { diagnostics } = JSON.parse(run.stdout) as LintReport
  return diagnostics
    .filter(({ code }) => code === 'eslint(max-lines-per-function)')
    .map(({ message, filename, labels }) => ({
      path: filename,
      line: labels[0]?.span.line ?? 0,
      lines: Number(/too many lines \((\d+)\)/.exec(message)?.[1]),
    }))
}

test('functions have a bounded length', () => {
  const found = longFunctions()
  assert(found.length > 0 && found.every(({ path, lines }) => PATHS.has(path) && lines > 50))
  const long = found.filter(({ path, line, lines }) => {
    const start = readText(path).split('\n')[line - 1] ?? ''
    return lines > FUNCTION_LINES_MAX && !/^\s*describe\(/.test(start)
  })
  none(
    long.map(({ path, line, lines }) => `${path}:${line}: ${lines} lines`),
    `${FUNCTION_LINES_MAX} lines`,
  )
})

/** Name of the package of a specifier: `@scope/name/path` is of `@scope/name`. */
function packageOf(specifier: string): string | null {
  if (/^[.#]|^node:/.test(specifier)) return null
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

const packagesOf = (files: readonly SourceFile[]): Set<string> =>
  new Set(files.flatMap(({ imports }) => imports.flatMap((i) => packageOf(i.specifier) ?? [])))

test('dependencies are those of the list, each with a reason and a use', () => {
  const listed = tableRows(GUIDE, 'package', 'why')
  assert.deepEqual(
    listed.map(([name]) => name),
    Object.keys(MANIFEST.dependencies).sort(),
  )
  none(
    listed.filter(([, why = '']) => why.length < 5).map(([name = '']) => name),
    'a reason',
  )
  const used = packagesOf(SHIPPED)
  none(
    Object.keys(MANIFEST.dependencies).filter((name) => !used.has(name)),
    'imported in src',
  )
  none(
    [...used].filter((name) => !(name in MANIFEST.dependencies)),
    'used in src and not listed',
  )
})

/** Development packages that are run rather than imported. */
const TOOLS = new Set(['node', 'oxfmt', 'oxlint', 'oxlint-tsgolint', 'typescript'])

test('development dependencies are those of the list, each with a reason and a use', () => {
  const listed = tableRows(GUIDE, 'development package', 'why')
  assert.deepEqual(
    listed.map(([name]) => name),
    Object.keys(MANIFEST.devDependencies).sort(),
  )
  none(
    listed.filter(([, why = '']) => why.length < 4).map(([name = '']) => name),
    'a reason',
  )
  const used = packagesOf(OURS.filter(({ path }) => !path.startsWith('interop/')))
  const idle = Object.keys(MANIFEST.devDependencies).filter(
    (name) => !TOOLS.has(name) && !name.startsWith('@types/') && !used.has(name),
  )
  none(idle, 'imported in a test, bench or script')
})

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
  >
}

test('the lockfiles name what other platforms need, without which npm ci fails', () => {
  for (const path of ['package-lock.json', 'interop/package-lock.json']) {
    const { packages } = JSON.parse(readText(path)) as Lock
    const optional = Object.values(packages).flatMap((entry) =>
      Object.keys(entry.optionalDependencies ?? {}),
    )
    const absent = optional.filter((name) => !(`node_modules/${name}` in packages))
    assert(optional.length > 0)
    none([...new Set(absent)], path)
  }
})

test('every folder but the command is an entry point of the package', () => {
  const wanted = FOLDERS.filter((folder) => folder !== 'cli').map((folder) => `./${folder}`)
  const names = Object.keys(MANIFEST.exports).filter((name) => name !== './package.json')
  assert.deepEqual([...names].sort(), wanted)
  for (const name of names) {
    const folder = name.slice(2)
    const entry = (index: string): object => ({
      types: `./dist/${folder}/${index}.d.ts`,
      default: `./dist/${folder}/${index}.js`,
    })
    const hasHalf = isPresent(`src/${folder}/index.web.ts`)
    const halves = { node: entry('index'), default: entry('index.web') }
    assert.deepEqual(MANIFEST.exports[name], hasHalf ? halves : entry('index'))
  }
})

/** Files of lists: to be named there is not to be used. */
const LISTS = new Set([
  'src/lib/errors.ts',
  'src/lib/reasons.ts',
  'src/ops/relay-options.ts',
  'src/repo/checks.ts',
])

function unused(codes: readonly string[]): string[] {
  const text = SHIPPED.filter(({ path }) => !LISTS.has(path))
    .map(({ uncommented }) => uncommented)
    .join('\n')
  return codes.filter((code) => !text.includes(`'${code}'`) && !(code in UNUSED_CODES))
}

test('every error code is thrown and every reason is given', () => {
  none(unused(Object.keys(ERROR_CODES)), 'error codes')
  none(unused(Object.keys(REASONS)), 'reasons')
})

/** Titles of tests. */
const TITLES: readonly string[] = OURS.filter(({ path }) => path.endsWith('.test.ts')).flatMap(
  ({ uncommented }) =>
    [
      ...uncommented.matchAll(/\b(?:test|it|describe|suite)\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g),
    ].map(([, , title = '']) => title),
)

test('every invariant has a test that names it, and the document names that test', () => {
  const rows = tableRows(readText('docs/invariants.md'), 'invariant')
  const names = Array.from({ length: 11 }, (_, i) => `I${i + 1}`)
  assert.deepEqual(
    rows.map(([name]) => name),
    names,
  )
  const unnamed = names.filter(
    (name) => !TITLES.some((title) => new RegExp(`\\b${name}\\b`).test(title)),
  )
  none(unnamed, 'invariants that no test names in its title')
  const wrong = rows.flatMap(([name = '', , path = '']) => {
    const file = path.replaceAll(/^\[|\]\(.*$/g, '')
    const named = isPresent(file) && new RegExp(`\\b${name}\\b`).test(readText(file))
    return named ? [] : [`${name}: ${path}`]
  })
  none(wrong, 'docs/invariants.md points to the test')
})

const PROSE = filesBelow('').filter((path) =>
  /(?:\.(?:md|ts|mjs|json|yml)|LICENSE|\.ci\/run)$/.test(path),
)
const LOCKS = /(?:^|\/)package-lock\.json$/

test('limits and options that docs/limits.md names are there', () => {
  const text = readText('docs/limits.md')
  const code = SHIPPED.map((file) => file.code).join('\n')
  const limits = [...text.matchAll(/`([A-Z][A-Z_]{4,})`/g)].map(([, name = '']) => name)
  const options = [...text.matchAll(/`--([a-z-]+)`/g)].map(([, name = '']) => `--${name}`)
  const page = readText('docs/generated/options.md')
  assert(limits.length > 10 && options.length > 5)
  none(
    limits.filter((name) => name !== 'NAME' && !new RegExp(`const ${name}\\b`).test(code)),
    'limits',
  )
  none(
    options.filter((name) => !page.includes(`\`${name} `)),
    'options',
  )
})

test('links in documents lead somewhere', () => {
  const broken = PROSE.filter((path) => path.endsWith('.md')).flatMap((path) =>
    [...readText(path).matchAll(/\]\((?!https?:)([^)#\s]+)/g)]
      .map(([, link = '']) => posix.join(posix.dirname(path), link))
      .filter((target) => !isPresent(target))
      .map((target) => `${path}: ${target}`),
  )
  none(broken, 'a link whose file is missing')
})

test('nothing names a place or a tool of one workplace', () => {
  const found = PROSE.filter((path) => !LOCKS.test(path)).flatMap((path) => {
    const text = readText(path)
    const words = new Set(text.toLowerCase().match(/(?<![\w-])[a-z]+(?![\w-])/g))
    const unwanted = [...words].filter((word) => UNWANTED_WORD_HASHES.has(hash(word)))
    const outside = [...text.matchAll(/(?:\.\.\/)+[\w.-]+/g)]
      .map(([link]) => posix.join(posix.dirname(path), link))
      .filter((target) => target.startsWith('../') && !/^\.\.\/(?:\.\.\/)*shared$/.test(target))
      .filter(() => !(path in OUTSIDE_ON_PURPOSE))
    const machine = MACHINE_PATHS.exec(text)?.[0]
    return [...unwanted, ...outside, ...(machine === undefined ? [] : [machine])].map(
      (what) => `${path}: ${what}`,
    )
  })
  none(found, 'words and paths that mean nothing to others')
})

function hash(word: string): string {
  return createHash('sha256').update(word).digest('hex').slice(0, 12)
}
