/** What processes have used, from `/proc` of Linux; nothing elsewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'

/** A process and its descendants together. */
export interface ProcessFigures {
  /** User and system time of all threads since the start, microseconds; steps of 10,000. */
  readonly cpuUs: number
  readonly rssMib: number
  /** Most that each has had at a time, added up. */
  readonly rssPeakMib: number
}

/** Ticks of `/proc/PID/stat` a second: the same on every architecture (USER_HZ). */
const TICKS_PER_SECOND = 100
/** Places in `/proc/PID/stat` after the name of the program (proc_pid_stat(5), less three). */
const PARENT_FIELD = 1
const USER_FIELD = 11
const SYSTEM_FIELD = 12

/** Whether this machine tells. */
export const HAS_PROCESS_FIGURES: boolean = existsSync('/proc/self/stat')

/** Null where there is no `/proc`, or no such process any more. */
export function processFigures(pid: number): ProcessFigures | null {
  if (!HAS_PROCESS_FIGURES) return null
  const found = withDescendants(pid).flatMap((each) => figuresOf(each) ?? [])
  if (found.length === 0) return null
  const sum = (key: keyof ProcessFigures): number =>
    found.reduce((total, figures) => total + figures[key], 0)
  return { cpuUs: sum('cpuUs'), rssMib: sum('rssMib'), rssPeakMib: sum('rssPeakMib') }
}

function withDescendants(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const parent = statOf(Number(name))?.[PARENT_FIELD]
    if (parent !== undefined) parents.set(Number(name), Number(parent))
  }
  const family = [pid]
  // The list grows while it is walked: children of children come too.
  for (const each of family) {
    for (const [child, parent] of parents) if (parent === each) family.push(child)
  }
  return family
}

/** The fields after the name of the program. */
function statOf(pid: number): readonly string[] | null {
  const text = read(pid, 'stat')
  // The name may have spaces and brackets of its own.
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ')
}

function figuresOf(pid: number): ProcessFigures | null {
  const stat = statOf(pid)
  const status = read(pid, 'status')
  if (stat === null || status === null) return null
  const ticks = Number(stat[USER_FIELD]) + Number(stat[SYSTEM_FIELD])
  const mib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1_024
  return {
    cpuUs: (ticks / TICKS_PER_SECOND) * 1e6,
    rssMib: mib('VmRSS'),
    rssPeakMib: mib('VmHWM'),
  }
}

/** Null when the process has ended meanwhile. */
function read(pid: number, name: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch {
    return null
  }
}
