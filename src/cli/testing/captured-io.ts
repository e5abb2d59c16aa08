/** A process for commands under test: what they write is kept, signals are sent by hand. */

import { fromUtf8 } from '../../lib/bytes.ts'
import { assert } from '../../lib/assert.ts'
import { concatBytes, utf8 } from '../../lib/bytes.ts'
import type { CliIo, StopSignal } from '../io.ts'

export interface CapturedIoOptions {
  readonly environment?: Readonly<Record<string, string>>
  readonly stdoutIsTerminal?: boolean
  readonly stderrIsTerminal?: boolean
  /** Standard output closes after so many bytes, as `| head` does. */
  readonly closesAfterBytes?: number
}

export interface CapturedIo {
  readonly io: CliIo
  /** Standard output so far. */
  out(): string
  outBytes(): Uint8Array
  err(): string
  readonly exits: number[]
  signal(name: StopSignal): void
  /** Whether anybody would notice a signal. */
  listens(): boolean
}

export function captureIo(options: CapturedIoOptions = {}): CapturedIo {
  const out: Uint8Array[] = []
  const err: string[] = []
  const exits: number[] = []
  const listeners = new Set<(signal: StopSignal) => void>()
  const closed = new AbortController()
  let written = 0
  const put = (piece: Uint8Array | string): void => {
    const bytes = typeof piece === 'string' ? utf8(piece) : piece.slice()
    out.push(bytes)
    written += bytes.length
    if (written > (options.closesAfterBytes ?? Infinity)) closed.abort()
  }
  const outBytes = (): Uint8Array => concatBytes(out)
  return {
    io: {
      stdout: put,
      stderr: (text) => void err.push(text),
      write: (piece) => Promise.resolve(put(piece)),
      stdoutIsTerminal: options.stdoutIsTerminal ?? false,
      stderrIsTerminal: options.stderrIsTerminal ?? false,
      columns: 80,
      outputClosed: closed.signal,
      environment: options.environment ?? {},
      onStopSignal(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      exit: (code) => void exits.push(code),
    },
    out: () => fromUtf8(outBytes()) ?? '(not UTF-8)',
    outBytes,
    err: () => err.join(''),
    exits,
    signal(name) {
      assert(listeners.size > 0, 'nobody listens')
      for (const listener of listeners) listener(name)
    },
    listens: () => listeners.size > 0,
  }
}
