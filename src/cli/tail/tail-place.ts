/** Where `skein tail` begins, and the file that keeps its place. */

import { readFile, rename, writeFile } from 'node:fs/promises'

import type { CursorStore } from '../../client/consumer/consumer-types.ts'
import { codeOf, messageOf, SkeinError } from '../../lib/errors.ts'
import { SEQ_MAX } from '../../lib/limits.ts'
import type { StoredCursor } from '../../store/consumer-state.ts'
import { fileError } from '../shared/files.ts'

/** What `--cursor` says. */
export type TailStart =
  | { readonly kind: 'live' | 'oldest' }
  | { readonly kind: 'seq'; readonly seq: number }
  | { readonly kind: 'file'; readonly path: string }

/** Words and numbers are themselves, all else is a path; `./live` is a file of that name. */
export function parseTailStart(text: string): TailStart {
  if (text === 'live' || text === 'oldest') return { kind: text }
  if (!/^\d+$/.test(text)) return { kind: 'file', path: text }
  const seq = Number(text)
  if (seq <= SEQ_MAX) return { kind: 'seq', seq }
  throw new SkeinError('OPTION_INVALID', 'options: --cursor is larger than any seq', { seq })
}

/** Places kept of one file: as many services as one would tail with it. */
const CURSORS_MAX = 100

/**
 * The places of services in one JSON file. It is replaced as a whole, so that a crash leaves the
 * old one or the new one.
 */
export class PlaceFile implements CursorStore {
  readonly path: string
  #cursors: readonly StoredCursor[] = []
  #writing: Promise<void> = Promise.resolve()

  constructor(path: string) {
    this.path = path
  }

  /**
   * The places in the file, the newest first; none when there is no file.
   *
   * @throws SkeinError OPTION_INVALID when it is something else, or cannot be read.
   */
  async load(): Promise<readonly StoredCursor[]> {
    let text: string
    try {
      text = await readFile(this.path, 'utf8')
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      throw unusable(this.path, messageOf(error), error)
    }
    this.#cursors = cursorsIn(this.path, text)
    return this.#cursors
  }

  /** The place of a service; null when there is none. */
  cursorOf(service: string): number | null {
    return this.#cursors.find((cursor) => cursor.service === service)?.seq ?? null
  }

  /** Puts the place first, and writes the file. */
  save(cursor: StoredCursor): Promise<void> {
    const others = this.#cursors.filter(({ service }) => service !== cursor.service)
    this.#cursors = [cursor, ...others].slice(0, CURSORS_MAX)
    return this.#write()
  }

  forget(service: string): Promise<void> {
    this.#cursors = this.#cursors.filter((cursor) => cursor.service !== service)
    return this.#write()
  }

  #write(): Promise<void> {
    const text = `${JSON.stringify({ cursors: this.#cursors }, null, 2)}\n`
    // One after another, also after one that failed.
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#replace(text))
    return this.#writing
  }

  async #replace(text: string): Promise<void> {
    const temporary = `${this.path}.new`
    try {
      await writeFile(temporary, text)
      await rename(temporary, this.path)
    } catch (error) {
      throw fileError('write', temporary, error)
    }
  }
}

function cursorsIn(path: string, text: string): readonly StoredCursor[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw unusable(path, 'it is no JSON')
  }
  const list =
    typeof value === 'object' && value !== null && 'cursors' in value ? value.cursors : null
  if (!Array.isArray(list) || !list.every((entry) => isCursor(entry))) {
    throw unusable(path, 'it holds no places')
  }
  return list.slice(0, CURSORS_MAX)
}

function isCursor(value: unknown): value is StoredCursor {
  if (typeof value !== 'object' || value === null) return false
  const { service, seq, timeMs } = value as Readonly<Record<string, unknown>>
  const hasTime = timeMs === null || Number.isFinite(timeMs)
  return typeof service === 'string' && Number.isSafeInteger(seq) && Number(seq) >= 0 && hasTime
}

function unusable(path: string, why: string, cause?: unknown): SkeinError {
  return new SkeinError('OPTION_INVALID', `options: --cursor ${path}: ${why}`, {}, cause)
}
