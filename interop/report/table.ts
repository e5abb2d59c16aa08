/** Prints a run: equal events grouped by step, every other one in full, then the checks. */

import type { Check } from '../checks/check.ts'
import type { Cell, ObserverName, Row, Verdict } from '../compare/rows.ts'
import { OBSERVER_NAMES } from '../compare/rows.ts'
import type { RunReport } from '../run.ts'
import { PDS_NAMES } from '../world/pds.ts'

const STEP_WIDTH = 58
const PDS_WIDTH = 3
const EVENTS_WIDTH = 44
const EXPECTED_WIDTH = 14
const CELL_WIDTH = 14

/** `by-step` puts all events of a step and PDS on one line; `every-event` gives each its own. */
export type Detail = 'by-step' | 'every-event'

/** Lines of the report of one run. */
export function formatReport(report: RunReport, detail: Detail): string[] {
  const title = `DID documents: ${report.format}`
  const heading = line('step', 'PDS', 'events', 'expected', OBSERVER_NAMES)
  const lines = ['', title, '', heading, '-'.repeat(heading.length)]
  for (const group of groupsOf(report)) {
    lines.push(groupLine(group))
    if (detail === 'every-event') lines.push(...group.rows.map(rowLine))
  }
  const refused = report.rows.filter((row) => isRefused(row))
  lines.push('', 'must be refused:', ...refused.flatMap(refusalLines))
  const unequal = report.rows.filter((row) => !row.equal)
  if (unequal.length > 0) lines.push('', 'unequal:', ...unequal.flatMap(unequalLines))
  lines.push('', 'checks:', ...report.checks.map((check) => checkLine(check.ok, check)))
  return lines
}

/** Lines of checks that are of no run. */
export function formatChecks(title: string, checks: readonly Check[]): string[] {
  return ['', title, '', ...checks.map((check) => checkLine(check.ok, check))]
}

/** How many rows and checks are as they should be, and how many are not. */
export function countOutcomes(
  reports: readonly RunReport[],
  others: readonly Check[],
): { passed: number; failed: number } {
  const outcomes = reports.flatMap((report) => [
    ...report.rows.map((row) => row.equal),
    ...report.checks.map((check) => check.ok),
  ])
  outcomes.push(...others.map((check) => check.ok))
  const passed = outcomes.filter(Boolean).length
  return { passed, failed: outcomes.length - passed }
}

interface Group {
  readonly step: string
  readonly pds: string
  readonly rows: readonly Row[]
}

/** Rows of one step and one PDS, in order; a step without events has one group without rows. */
function groupsOf({ steps, rows }: RunReport): Group[] {
  const groups: Group[] = []
  for (const step of steps) {
    const own = rows.filter((row) => row.entry?.step.name === step)
    for (const pds of PDS_NAMES) {
      const there = own.filter((row) => row.entry?.pds === pds)
      if (there.length > 0) groups.push({ step, pds, rows: there })
    }
    if (own.length === 0) groups.push({ step, pds: '', rows: [] })
  }
  const strangers = rows.filter((row) => row.entry === null)
  if (strangers.length > 0) {
    groups.push({ step: 'what no PDS has sent', pds: '', rows: strangers })
  }
  return groups
}

function isRefused(row: Row): boolean {
  return row.entry !== null && row.entry.refusal !== null
}

function groupLine(group: Group): string {
  const cells = OBSERVER_NAMES.map((name) => summary(group.rows.map((row) => row.cells[name])))
  return line(group.step, group.pds, countTypes(group.rows), expectationOf(group), cells)
}

function expectationOf({ rows }: Group): string {
  const refused = rows.filter((row) => isRefused(row)).length
  if (rows.length === 0) return 'nothing'
  if (rows.every((row) => row.entry === null)) return 'nothing'
  if (refused === 0) return 'delivered'
  return refused === rows.length ? 'refused' : `${refused} of ${rows.length} refused`
}

function rowLine(row: Row): string {
  const cells = OBSERVER_NAMES.map((name) => summary([row.cells[name]]))
  const expected = isRefused(row) ? 'refused' : 'delivered'
  return line(`  ${row.title}`, '', '', expected, cells)
}

/** Signs of the verdicts that are as they should be. */
const SIGNS: ReadonlyMap<Verdict, string> = new Map([
  ['same', '='],
  ['refused', 'refused'],
  ['apart', '.'],
])

/** One sign for several cells: what they have in common, else how many fail. */
function summary(cells: readonly Cell[]): string {
  const failed = cells.filter((cell) => !SIGNS.has(cell.verdict))
  if (failed.length > 0) {
    const verdict = failed[0]?.verdict ?? ''
    return failed.length === 1 ? verdict.toUpperCase() : `${failed.length} ${verdict.toUpperCase()}`
  }
  return [...new Set(cells.map((cell) => SIGNS.get(cell.verdict)))].join(' ')
}

/** `#commit x3 #sync` */
function countTypes(rows: readonly Row[]): string {
  const counts = new Map<string, number>()
  for (const { entry, title } of rows) {
    const type = entry?.event.type ?? title.split(' ', 1)[0] ?? ''
    counts.set(type, (counts.get(type) ?? 0) + 1)
  }
  return [...counts].map(([type, n]) => (n === 1 ? type : `${type} x${n}`)).join(' ')
}

function line(
  step: string,
  pds: string,
  events: string,
  expected: string,
  cells: readonly string[],
): string {
  const left = events === '' ? pad(step, STEP_WIDTH + EVENTS_WIDTH + 1) : pad(step, STEP_WIDTH)
  return [
    pad(pds, PDS_WIDTH),
    left,
    ...(events === '' ? [] : [pad(events, EVENTS_WIDTH)]),
    pad(expected, EXPECTED_WIDTH),
    ...cells.map((cell) => pad(cell, CELL_WIDTH)),
  ]
    .join(' ')
    .trimEnd()
}

function pad(text: string, width: number): string {
  const cut = text.length > width ? `${text.slice(0, width - 1)}…` : text
  return cut.padEnd(width)
}

function refusalLines(row: Row): string[] {
  const reason = row.entry?.refusal ?? ''
  return [`  ${row.entry?.step.name ?? ''}: ${row.title}`, `    because ${reason}`]
}

function unequalLines(row: Row): string[] {
  const where = row.entry === null ? '' : `${row.entry.step.name} (PDS ${row.entry.pds}) `
  const cells = OBSERVER_NAMES.map((name) => cellLine(name, row.cells[name]))
  return [`  ${where}${row.title}`, ...cells]
}

function cellLine(name: ObserverName, cell: Cell): string {
  const detail = cell.detail === '' ? '' : `: ${cell.detail}`
  return `    ${pad(name, CELL_WIDTH)} ${cell.verdict}${detail}`
}

function checkLine(ok: boolean, check: { readonly name: string; readonly detail: string }): string {
  return ok ? `  ok    ${check.name}` : `  FAIL  ${check.name}\n          ${check.detail}`
}
