/** `skein doctor`: the chain of ./doctor.ts, shown as it is walked. */

import { loadVerifier } from '../../crypto/verifier.ts'
import { createDnsLookup, resolvePrivateNames } from '../../identity/address-lookup.ts'
import { systemClock } from '../../lib/clock.ts'
import { parseDid } from '../../syntax/did.ts'
import { normalizeHandle, parseHandle } from '../../syntax/handle.ts'
import { askOnce } from '../network/account-view.ts'
import type { CommandCall } from '../shared/command.ts'
import { diagnose, type DoctorTarget } from './doctor.ts'
import { checkedTransport, type DoctorContext } from './doctor-context.ts'
import { PROBLEMS, type ProblemCode } from './doctor-problems.ts'
import { Checklist, firstFailure, type StepOutcome, type StepResult } from './doctor-report.ts'
import { DOCTOR_STEPS, type DoctorStepName } from './doctor-steps.ts'
import { EXIT } from '../io.ts'
import { type DOCTOR_OPTIONS, type RELAYS_OPTION, relaysOf } from '../network/network-options.ts'
import {
  cleanText,
  countOf,
  formatDuration,
  type Output,
  type StyleName,
} from '../shared/output.ts'
import { StatusLine } from '../tail/status-line.ts'
import type { Session } from '../shared/session.ts'

type DoctorCall = CommandCall<typeof DOCTOR_OPTIONS & typeof RELAYS_OPTION>

/** Relays give a host no more than this for one answer, ms. */
const PATIENCE_MS_MAX = 10_000

/** Findings that say that what was named is not there, or not active. */
const ABSENT: ReadonlySet<ProblemCode> = new Set([
  'account-inactive',
  'account-not-at-host',
  'account-without-commit',
  'did-not-found',
  'handle-not-found',
  'name-not-found',
  'relay-account-unknown',
  'relay-host-unknown',
])
/** Findings about proofs. */
const UNVERIFIED: ReadonlySet<ProblemCode> = new Set([
  'commit-invalid',
  'commit-not-signed',
  'did-no-key',
  'frame-invalid',
  'head-not-signed',
  'host-mismatch',
])

/** Runs `skein doctor` and returns the exit code. */
export async function runDoctor(call: DoctorCall): Promise<number> {
  const { io, output, options, session, signal } = call
  const target = await targetOf(session, call.words[0] ?? '')
  const status = new StatusLine(io)
  const view = new DoctorView(output)
  const list = new Checklist(
    systemClock,
    (step, subject) => status.show(`${step} ${subject}...`),
    (result) => {
      status.hide()
      view.show(result)
    },
  )
  try {
    const timeoutMs = Math.min(options.timeout, PATIENCE_MS_MAX)
    const relays = relaysOf(options.relays)
    const times = { timeoutMs, quietMs: options.quietAfter }
    await diagnose(await contextOf(session, relays, times), target, list)
  } finally {
    status.hide()
    await view.written
  }
  signal.throwIfAborted()
  const code = exitCodeOf(list.results)
  await view.verdict(list.results, code)
  return code
}

/**
 * A DID, a handle that leads to one, else a host. What has a scheme, a port, or is no handle is a
 * host without being asked for.
 */
async function targetOf(session: Session, text: string): Promise<DoctorTarget> {
  const given = text.trim().replace(/^at:\/\//, '')
  if (given.startsWith('did:')) return { kind: 'did', did: parseDid(given) ?? given }
  if (given.startsWith('@')) return { kind: 'handle', handle: given.slice(1).toLowerCase() }
  const handle = parseHandle(given)
  if (handle === null || given === 'localhost') return { kind: 'host', host: given }
  const name = normalizeHandle(handle)
  const outcome = await session.resolveHandle(name)
  return outcome.did === null ? { kind: 'host', host: given } : { kind: 'handle', handle: name }
}

async function contextOf(
  session: Session,
  relays: readonly string[],
  times: Pick<DoctorContext, 'timeoutMs' | 'quietMs'>,
): Promise<DoctorContext> {
  const { http, identities, signal } = session
  const { allowPrivateNetwork } = session.options
  return {
    clock: systemClock,
    allowPrivateNetwork,
    http,
    transport: checkedTransport(http, systemClock, times.timeoutMs),
    resolveAddresses: allowPrivateNetwork ? resolvePrivateNames : createDnsLookup(),
    identities,
    verifier: await loadVerifier(),
    resolveHandle: (handle) => session.resolveHandle(handle),
    hostClient: (endpoint) => askOnce(session, endpoint, 'stranger'),
    relays: relays.map((relay) => askOnce(session, relay, 'user')),
    ...times,
    signal,
  }
}

/** The exit code that the first failure calls for. */
export function exitCodeOf(results: readonly StepResult[]): number {
  const first = firstFailure(results)
  const problem = first?.problem ?? null
  if (problem === null) return EXIT.ok
  if (ABSENT.has(problem)) return EXIT.absent
  return UNVERIFIED.has(problem) ? EXIT.unverified : EXIT.failure
}

const MARKS: Readonly<Record<StepOutcome, readonly [string, StyleName]>> = {
  ok: ['ok  ', 'green'],
  warn: ['warn', 'yellow'],
  fail: ['FAIL', 'red'],
  skipped: ['-   ', 'dim'],
}
const STEP_WIDTH = Object.keys(DOCTOR_STEPS).reduce((most, { length }) => Math.max(most, length), 0)
/** Text below a step begins under its detail. */
const INDENT = ' '.repeat(6)

interface Advice {
  readonly says: string | null
  readonly fix: string | null
}

/** Steps as they end, in order; then the verdict. */
class DoctorView {
  readonly #output: Output
  #heading = ''
  /** The host of the chain, once its step has come. */
  #host = '<host>'
  /** Steps in a row that were skipped for one reason. */
  #skipped: StepResult[] = []
  #writing: Promise<void> = Promise.resolve()

  constructor(output: Output) {
    this.#output = output
  }

  /** Resolves when all that was shown is written. */
  get written(): Promise<void> {
    return this.#writing
  }

  show(result: StepResult): void {
    this.#writing = this.#writing.then(() => this.#write(result))
  }

  async #write(result: StepResult): Promise<void> {
    const output = this.#output
    if (result.step === 'name') this.#host = result.subject
    const advice = this.#adviceOf(result)
    if (output.isJson) {
      await output.jsonLine({ ...result, ...advice })
      return
    }
    if (this.#skipped[0]?.detail !== result.detail) await this.#flushSkipped()
    if (result.outcome === 'skipped') {
      this.#skipped.push(result)
      return
    }
    await this.#head(result)
    const [mark, style] = MARKS[result.outcome]
    const text = cleanText(result.detail)
    await output.line(`${output.style(style, mark)}  ${result.step.padEnd(STEP_WIDTH)}  ${text}`)
    const { says, fix } = advice
    if (says === null || fix === null) return
    for (const line of wrapped(says)) await output.line(INDENT + output.style(style, line))
    for (const line of wrapped(cleanText(fix))) await output.line(`${INDENT}${line}`)
  }

  async #head({ step, subject }: StepResult): Promise<void> {
    const heading = headingOf(step, subject)
    if (heading === this.#heading) return
    const output = this.#output
    await output.line(`${this.#heading === '' ? '' : '\n'}${output.style('bold', heading)}`)
    this.#heading = heading
  }

  /** One line for all of them: they say the same. */
  async #flushSkipped(): Promise<void> {
    const [first] = this.#skipped
    if (first === undefined) return
    await this.#head(first)
    const steps = this.#skipped.map(({ step }) => step).join(', ')
    this.#skipped = []
    const lines = wrapped(`not walked: ${steps}: ${cleanText(first.detail)}`)
    for (const [i, line] of lines.entries()) {
      const text = this.#output.style('dim', line)
      await this.#output.line(i === 0 ? `-     ${text}` : `${INDENT}${text}`)
    }
  }

  #adviceOf({ step, subject, problem }: StepResult): Advice {
    if (problem === null) return { says: null, fix: null }
    const { says, fix } = PROBLEMS[problem]
    const isAccount = step === 'handle' || step === 'did-document'
    const filled = isAccount ? fix : fix.replaceAll(/<(?:host|name)>/g, this.#host)
    return { says, fix: step === 'handle' ? filled.replaceAll('<handle>', subject) : filled }
  }

  async verdict(results: readonly StepResult[], exitCode: number): Promise<void> {
    const count = (outcome: StepOutcome): number =>
      results.filter((result) => result.outcome === outcome).length
    const [failed, warned, passed] = [count('fail'), count('warn'), count('ok')]
    const first = firstFailure(results)
    const tookMs = results.reduce((sum, result) => sum + result.tookMs, 0)
    if (this.#output.isJson) {
      const { step = null, problem = null } = first ?? {}
      const verdict = failed > 0 ? 'failing' : warned > 0 ? 'warnings' : 'healthy'
      await this.#output.jsonLine({ verdict, firstFailure: step, problem, exitCode, tookMs })
      return
    }
    const counts = `${countOf(passed, 'check')} passed, ${countOf(warned, 'warning')}`
    const summary = `${counts}, ${countOf(failed, 'failure')} in ${formatDuration(tookMs)}`
    await this.#flushSkipped()
    await this.#output.line()
    if (first === null) {
      const word = warned === 0 ? 'All is well' : 'Nothing fails'
      await this.#output.line(`${this.#output.style('green', word)}: ${summary}.`)
      return
    }
    const what = `${first.step} is the first thing to mend (${first.problem ?? ''})`
    await this.#output.line(`${this.#output.style('red', what)}: ${summary}.`)
  }
}

function headingOf(step: DoctorStepName, subject: string): string {
  if (step.startsWith('relay-')) return `Relay ${cleanText(subject)}`
  const isAccount = ['handle', 'did-document', 'account-at-host', 'head-signature'].includes(step)
  return isAccount ? 'Account' : `Host ${cleanText(subject)}`
}

const WRAP_CHARS = 80 - INDENT.length

function wrapped(text: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WRAP_CHARS) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
