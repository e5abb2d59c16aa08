/**
 * What an entry point exports, read from the declarations that the compiler writes: for pages of
 * reference. Reads text, not types; the shape of the text is the compiler's.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** A statement at the top of a declaration file. */
export interface Declaration {
  readonly name: string
  /** Text of the doc comment, without its asterisks; empty when there is none. */
  readonly doc: string
  /** The statement without `export` and `declare`, and without private members. */
  readonly signature: string
  readonly isExported: boolean
}

/** A declaration file. */
export interface DeclarationFile {
  /** What the file says of itself at its top; empty when it says nothing. */
  readonly intro: string
  readonly statements: readonly string[]
  readonly declarations: readonly Declaration[]
}

/** An export of an entry point. */
export interface Export {
  /** The file that defines it, below `src`: `client/calls/sync-client`. */
  readonly file: string
  readonly declaration: Declaration
}

/** Has the compiler write the declarations of `src`, and reads them on demand. */
export class Declarations implements Disposable {
  readonly #folder: string
  readonly #files = new Map<string, DeclarationFile>()

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'skein-declarations-'))
    const compiler = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
    const flags = ['--emitDeclarationOnly', '--noCheck', '--outDir', this.#folder]
    const maps = ['--sourceMap', 'false', '--inlineSources', 'false']
    // Whether the types are right is for `npm run types` to say.
    const args = [compiler, '-p', 'tsconfig.build.json', ...flags, ...maps]
    const run = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })
    if (run.error !== undefined) throw run.error
  }

  /** @param path Below `src`, without its ending: `client/calls/sync-client`. */
  file(path: string): DeclarationFile {
    let file = this.#files.get(path)
    if (file === undefined) {
      file = parseDeclarations(readFileSync(join(this.#folder, `${path}.d.ts`), 'utf8'))
      this.#files.set(path, file)
    }
    return file
  }

  /** What an entry point exports, in the order of its index; `client`. */
  exportsOf(entry: string): readonly Export[] {
    return [...this.#exports(`${entry}/index`)]
  }

  *#exports(path: string): Generator<Export> {
    const { statements, declarations } = this.file(path)
    for (const statement of statements) {
      const match = RE_EXPORT.exec(statement)
      if (match === null) continue
      const [, list = '', from = ''] = match
      const target = posix.join(posix.dirname(path), from.replace(/\.ts$/, ''))
      if (list === '*') {
        yield* this.#exports(target)
        continue
      }
      for (const name of namesIn(list)) yield this.#one(target, name)
    }
    for (const declaration of declarations) {
      if (declaration.isExported) yield { file: path, declaration }
    }
  }

  #one(target: string, name: string): Export {
    for (const found of this.#exports(target)) {
      if (found.declaration.name === name) return found
    }
    throw new Error(`${target} has no export ${name}`)
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

const RE_EXPORT = /^export (?:type )?(\*|\{[\s\S]*\}) from '([^']+)';$/

function namesIn(list: string): string[] {
  return list
    .slice(1, -1)
    .split(',')
    .map((part) => part.trim().replace(/^type /, ''))
    .filter((name) => name !== '')
}

const HEAD =
  /^(export )?(?:declare )?(?:abstract )?(?:class|function|const|interface|type|let) (\w+)/

/** Reads a declaration file. */
export function parseDeclarations(text: string): DeclarationFile {
  const statements: string[] = []
  const found: Declaration[] = []
  let doc = ''
  let intro = ''
  for (const { kind, text: part } of partsOf(text)) {
    if (kind === 'comment') {
      if (doc !== '' && intro === '' && statements.length === 0) intro = doc
      doc = docText(part)
      continue
    }
    statements.push(part)
    if (statements.length === 1 && part.startsWith('import ') && intro === '') intro = doc
    const [, exported, name] = HEAD.exec(part) ?? []
    if (name !== undefined) {
      found.push({ name, doc, signature: signatureOf(part), isExported: exported !== undefined })
    }
    doc = ''
  }
  return { intro, statements, declarations: joined(found) }
}

/** Overloads of a function are one declaration. */
function joined(found: readonly Declaration[]): Declaration[] {
  const byName = new Map<string, Declaration>()
  for (const one of found) {
    const before = byName.get(one.name)
    const signature = before === undefined ? one.signature : `${before.signature}\n${one.signature}`
    const doc = before?.doc ?? ''
    byName.set(one.name, { ...one, signature, doc: doc === '' ? one.doc : doc })
  }
  return [...byName.values()]
}

interface Part {
  readonly kind: 'comment' | 'statement'
  readonly text: string
}

/** Comments and statements at the top level, in order. */
function* partsOf(text: string): Generator<Part> {
  let at = 0
  while (at < text.length) {
    if (/\s/.test(text.charAt(at))) at++
    else if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at) + 2
      yield { kind: 'comment', text: text.slice(at, end) }
      at = end
    } else if (text.startsWith('//', at)) at = endOfLine(text, at)
    else {
      const end = endOfStatement(text, at)
      yield { kind: 'statement', text: text.slice(at, end) }
      at = end
    }
  }
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at)
  return end === -1 ? text.length : end
}

/** Declarations of these end with a brace; all others with a semicolon. */
const BRACED = /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface) /

function endOfStatement(text: string, start: number): number {
  const isBraced = BRACED.test(text.slice(start, start + 80))
  let depth = 0
  let at = start
  while (at < text.length) {
    const char = text.charAt(at)
    if (text.startsWith('/*', at)) at = text.indexOf('*/', at) + 2
    else if (char === "'" || char === '"' || char === '`') at = endOfString(text, at)
    else {
      if ('{[('.includes(char)) depth++
      else if ('}])'.includes(char)) depth--
      at++
      if (depth === 0 && char === (isBraced ? '}' : ';')) return at
    }
  }
  return text.length
}

function endOfString(text: string, start: number): number {
  const quote = text.charAt(start)
  let at = start + 1
  while (at < text.length && text.charAt(at) !== quote) at += text.charAt(at) === '\\' ? 2 : 1
  return at + 1
}

function docText(comment: string): string {
  return comment
    .replaceAll(/^\/\*\*?|\*\/$/g, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trimEnd())
    .join('\n')
    .trim()
}

function signatureOf(statement: string): string {
  return (
    statement
      .replace(/^(?:export )?(?:declare )?/, '')
      .split('\n')
      .filter((line) => !/^\s*(?:#private;|private )/.test(line))
      .join('\n')
      // Half of the compiler's indent; the asterisks of comments stand one further in.
      .replaceAll(/^ +/gm, ({ length }) =>
        ' '.repeat(length % 2 === 0 ? length / 2 : (length + 1) / 2),
      )
  )
}
