#!/usr/bin/env node
/** The `skein` command. The only place that reads the environment and ends the process. */

import { codeOf } from '../lib/errors.ts'
import type { CliIo, StopSignal } from './io.ts'
import { runCli } from './program.ts'
import { fileError } from './shared/files.ts'
import { reportError } from './shared/report-error.ts'

const SIGNALS: readonly StopSignal[] = ['SIGTERM', 'SIGINT']

/** What writing fails with when the reader has gone, by itself or with its machine. */
const GONE: ReadonlySet<string | null> = new Set(['EPIPE', 'ECONNRESET', 'EOF'])

const outputClosed = new AbortController()

/** The first failure counts: those that come after it only say that the stream has ended. */
function onOutputError(error: Error): void {
  if (GONE.has(codeOf(error))) outputClosed.abort()
  else outputClosed.abort(fileError('write', 'standard output', error))
}

const io: CliIo = {
  stdout: (text) => void process.stdout.write(text),
  write: (piece) =>
    new Promise((resolve) => {
      // Called back when the piece has been handed on, and with an error when it has not.
      process.stdout.write(piece, (error) => {
        if (error instanceof Error) onOutputError(error)
        resolve()
      })
    }),
  stderr: (text) => void process.stderr.write(text),
  stdoutIsTerminal: process.stdout.isTTY,
  stderrIsTerminal: process.stderr.isTTY,
  get columns() {
    // Zero or nothing where there is no terminal.
    return process.stderr.columns > 0 ? process.stderr.columns : 80
  },
  outputClosed: outputClosed.signal,
  environment: process.env,
  onStopSignal(listener) {
    for (const signal of SIGNALS) process.on(signal, listener)
    return () => {
      for (const signal of SIGNALS) process.off(signal, listener)
    }
  },
  exit: (code) => process.exit(code),
}

// A reader that goes away (`| head`) ends neither a relay nor its log with an exception.
process.stdout.on('error', onOutputError)
process.stderr.on('error', () => {})

// A mistake of ours: the state on disk is as after a crash, which recovery is made for.
process.on('uncaughtException', (error) => {
  process.exit(reportError(io, error, 'stack'))
})

// Should the event loop run empty before the command has finished, that is not a success.
process.exitCode = 1
const code = await runCli(process.argv.slice(2), io, {
  loadRelay: async () => (await import('../server/start-relay.ts')).startRelay,
})
process.exit(code)
