#!/usr/bin/env node
/** The `skein` command. The only place that reads the environment and ends the process. */

import type { CliIo, StopSignal } from './io.ts'
import { runCli } from './program.ts'
import { reportError } from './shared/report-error.ts'

const SIGNALS: readonly StopSignal[] = ['SIGTERM', 'SIGINT']

const outputClosed = new AbortController()

const io: CliIo = {
  stdout: (text) => void process.stdout.write(text),
  write: (piece) =>
    new Promise((resolve) => {
      // Called back when the piece has been handed on, and with an error when nobody reads it.
      process.stdout.write(piece, () => resolve())
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
process.stdout.on('error', () => outputClosed.abort())
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
