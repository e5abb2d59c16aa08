/** `skein repo verify`: a whole repository, every rule. */

import { join } from 'node:path'

import { cidToString } from '../../data/cid.ts'
import { REASONS } from '../../lib/reasons.ts'
import { TemporaryDirectory } from '../../ops/temporary-directory.ts'
import type { Commit } from '../../repo/commit.ts'
import { RepoReadError } from '../../repo/repo-reader.ts'
import type { CommandCall } from '../shared/command.ts'
import { PartFile } from '../shared/files.ts'
import { EXIT } from '../io.ts'
import { cleanText, countOf, formatBytes, formatCount, type Output } from '../shared/output.ts'
import { Progress } from '../shared/progress.ts'
import type { VERIFY_OPTIONS } from './repo-commands.ts'
import { counted, openRepoSource, type RepoSource } from './repo-source.ts'
import { type Finding, recordFault, surveyRepo } from './repo-survey.ts'

/** What was read, and what is wrong with it. */
interface Report {
  commit: Commit | null
  commitCid: string | null
  nodes: number
  records: number
  bytes: number
  readonly findings: Finding[]
  /** How often each rule is broken, also where findings are not listed any more. */
  readonly counts: Map<string, number>
}

type Call = CommandCall<typeof VERIFY_OPTIONS>

/** See docs/cli.md. */
export async function runRepoVerify(call: Call): Promise<number> {
  const { words, options, io, output, session } = call
  const source = await openRepoSource(session, words[0] ?? '', options)
  using progress = new Progress(io, { label: source.label, unit: 'bytes' })
  const report = await judge(call, source, progress)
  progress.end()
  const code = codeOf(report)
  if (output.isJson) await output.json(jsonOf(report, source, code))
  else await print(output, report, source)
  return code
}

/** Reads the stream; only when a rule is broken, everything is looked at again, block by block. */
async function judge(call: Call, source: RepoSource, progress: Progress): Promise<Report> {
  const report = emptyReport()
  const add = (finding: Finding): void => addFinding(report, finding, call.options.findingsMax)
  const { pieces, size } = await source.open()
  progress.expect(size)
  const bytes = counted(pieces, (count) => progress.update((report.bytes += count)))
  try {
    const read = await source.read(bytes, { onNode: () => report.nodes++ })
    report.commit = read.commit
    report.commitCid = cidToString(read.cid)
    for await (const record of read.records) {
      report.records++
      const fault = recordFault(record.path, record.bytes)
      if (fault !== null) add(fault)
    }
    return report
  } catch (error) {
    // Over a limit of ours: that says nothing of the repository.
    if (!(error instanceof RepoReadError) || error.fault === 'too-large') throw error
    if (error.fault === 'unverifiable') throw error
    const survey = { ...emptyReport(), bytes: report.bytes }
    await surveyAgain(call, source, progress, survey)
    // The reader's own words, should the survey see it otherwise.
    if (survey.findings.length === 0) {
      addFinding(survey, { reason: error.reason, where: 'repository', detail: error.message }, 1)
    }
    return survey
  }
}

async function surveyAgain(
  { options, session }: Call,
  source: RepoSource,
  progress: Progress,
  report: Report,
): Promise<void> {
  const survey = async (path: string): Promise<void> => {
    const result = await surveyRepo(path, {
      did: source.did,
      judge: source.judge,
      signal: session.signal,
      onFinding: (finding) => addFinding(report, finding, options.findingsMax),
    })
    Object.assign(report, {
      commit: result.commit,
      commitCid: result.commitCid,
      nodes: result.nodes,
      records: result.records,
    })
  }
  if (source.client === null) {
    await survey(source.origin)
    return
  }
  progress.say('it does not verify: fetching it again to find out where')
  await using folder = await TemporaryDirectory.create('skein-verify-')
  const path = join(folder.path, 'repo.car')
  await using file = await PartFile.create(path)
  const { pieces } = await source.open()
  report.bytes = 0
  for await (const piece of pieces) {
    await file.write(piece)
    progress.update((report.bytes += piece.length))
  }
  await file.commit()
  await survey(path)
}

function emptyReport(): Report {
  return {
    commit: null,
    commitCid: null,
    nodes: 0,
    records: 0,
    bytes: 0,
    findings: [],
    counts: new Map(),
  }
}

function addFinding(report: Report, finding: Finding, findingsMax: number): void {
  const { findings, counts } = report
  counts.set(finding.reason, (counts.get(finding.reason) ?? 0) + 1)
  if (findings.length < findingsMax) findings.push(finding)
}

function codeOf({ counts }: Report): number {
  const reasons = [...counts.keys()]
  if (reasons.length === 0) return EXIT.ok
  // That nobody could name the key breaks no rule.
  return reasons.every((reason) => reason.startsWith('identity-')) ? EXIT.failure : EXIT.unverified
}

function jsonOf(report: Report, source: RepoSource, code: number): object {
  const { commit, commitCid, nodes, records, bytes, findings, counts } = report
  return {
    result: code === EXIT.ok ? 'verified' : code === EXIT.unverified ? 'broken' : 'unknown',
    did: commit?.did ?? source.did,
    handle: source.account?.handle ?? null,
    service: source.origin,
    rev: commit?.rev ?? null,
    commit: commitCid,
    signature: source.signature,
    nodes,
    records,
    bytes,
    broken: Object.fromEntries(counts),
    findings,
  }
}

/** The parts of a repository, and the beginnings of the reasons that speak of them. */
const PARTS = [
  ['file', ['car-']],
  ['commit', ['commit-', 'rev-', 'did-']],
  ['signature', ['signature-', 'identity-']],
  ['tree', ['mst-']],
  ['records', ['op-']],
] as const

async function print(output: Output, report: Report, source: RepoSource): Promise<void> {
  const { commit, findings, counts } = report
  const did = commit?.did ?? source.did ?? 'nobody knows whose'
  const handle = source.account?.handle ?? null
  await output.line(output.style('bold', cleanText(handle === null ? did : `${handle}  ${did}`)))
  for (const [part, beginnings] of PARTS) {
    const broken = [...counts].filter(([reason]) => beginnings.some((it) => reason.startsWith(it)))
    const count = broken.reduce((sum, [, times]) => sum + times, 0)
    const state = count > 0 ? 'FAILED' : isChecked(part, report, source) ? 'ok' : 'unseen'
    const style = state === 'FAILED' ? 'red' : state === 'ok' ? 'green' : 'yellow'
    const words = count > 0 ? countOf(count, 'finding') : wordsOf(part, report, source)
    await output.line(`  ${output.style(style, state.padEnd(6))}  ${part.padEnd(9)}  ${words}`)
  }
  for (const { reason, where, detail } of findings) {
    await output.line()
    await output.line(`${output.style('red', reason)}  ${cleanText(where)}`)
    await output.line(`  ${REASONS[reason].text}`)
    await output.line(`  ${cleanText(detail)}`)
  }
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
  if (total > findings.length) {
    await output.line(`\n${formatCount(total - findings.length)} more; see --findings-max`)
  }
  await output.line()
  await output.line(verdictOf(output, total, source))
  const hint = hintOf(counts, source)
  if (hint !== null) await output.line(hint)
}

function verdictOf(output: Output, total: number, source: RepoSource): string {
  if (total > 0) return output.style('red', `broken: ${countOf(total, 'finding')}`)
  return output.style('green', source.claim)
}

function isChecked(part: string, { commit }: Report, { signature }: RepoSource): boolean {
  if (part === 'file') return true
  if (commit === null) return false
  return part !== 'signature' || signature.state === 'good'
}

function wordsOf(part: string, report: Report, { origin, signature }: RepoSource): string {
  const { commit, nodes, records, bytes } = report
  if (part === 'file') return `${formatBytes(bytes)} from ${cleanText(origin)}`
  if (commit === null) return 'there is no commit to begin from'
  if (part === 'commit') return `rev ${commit.rev}`
  if (part === 'tree') return `${countOf(nodes, 'node')}, every key in its place`
  if (part === 'records') return `${formatCount(records)}, all there and well formed`
  if (signature.state === 'skipped') return 'not checked'
  const from = signature.keyFrom === 'option' ? '--key' : 'the DID document'
  return `by ${signature.key ?? 'no key'} of ${from}`
}

/** What a person may want to know who sees this. */
function hintOf(counts: ReadonlyMap<string, number>, source: RepoSource): string | null {
  if (counts.has('signature-invalid') && source.client === null) {
    return 'An account may have changed its key since: name the old one with --key.'
  }
  if (counts.has('mst-block-missing') || counts.has('op-record-missing')) {
    return 'What is missing may be in another copy: try --service with a mirror.'
  }
  return null
}
