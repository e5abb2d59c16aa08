/** A deliberate bug as data: where it is put, what it models, and who is to notice. */

/** Names of docs/invariants.md. */
export type Invariant = `I${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11}`

/**
 * One small bug. Kept as text to find and text to put in its place, and not as a patch, so that it
 * outlives changes of the lines around it.
 */
export interface Mutant {
  /** Unique, kebab-case. */
  readonly name: string
  /** The failure in the field that it stands for, as a sentence. */
  readonly models: string
  /** What it breaks of docs/invariants.md. */
  readonly invariants: readonly Invariant[]
  /** Path from the root. */
  readonly file: string
  /** Stands exactly once in the file. */
  readonly find: string
  readonly replace: string
  /** Test files that are expected to kill it, the most likely first. Paths from the root. */
  readonly tests: readonly string[]
}

/**
 * The file's text with the bug in it.
 *
 * @throws Error When the anchor does not stand there exactly once, naming the mutant.
 */
export function mutate(mutant: Mutant, text: string): string {
  const fault = anchorFault(mutant, text)
  if (fault !== null) throw new Error(fault)
  const at = text.indexOf(mutant.find)
  return text.slice(0, at) + mutant.replace + text.slice(at + mutant.find.length)
}

/** What is wrong with a mutant's anchor in the text of its file; null when it stands there once. */
export function anchorFault({ name, file, find, replace }: Mutant, text: string): string | null {
  if (find === '' || find === replace) return `${name}: it changes nothing`
  const places = text.split(find).length - 1
  return places === 1 ? null : `${name}: its text to find stands ${places} times in ${file}`
}

/** Unchanged lines around a change. */
const CONTEXT_LINES = 3

/** Two texts that differ in one place as a unified diff, which `git apply` and `patch` take. */
export function unifiedDiff(path: string, before: string, after: string): string {
  const old = linesOf(before)
  const now = linesOf(after)
  let start = 0
  while (start < Math.min(old.length, now.length) && old[start] === now[start]) start++
  let same = 0
  const most = Math.min(old.length, now.length) - start
  while (same < most && old[old.length - 1 - same] === now[now.length - 1 - same]) same++
  const from = Math.max(0, start - CONTEXT_LINES)
  const until = Math.min(old.length, old.length - same + CONTEXT_LINES)
  const removed = old.slice(start, old.length - same)
  const added = now.slice(start, now.length - same)
  const lines = until - from
  return [
    `--- a/${path}`,
    `+++ b/${path}`,
    `@@ -${from + 1},${lines} +${from + 1},${lines - removed.length + added.length} @@`,
    ...old.slice(from, start).map((line) => ` ${line}`),
    ...removed.map((line) => `-${line}`),
    ...added.map((line) => `+${line}`),
    ...old.slice(old.length - same, until).map((line) => ` ${line}`),
    '',
  ].join('\n')
}

/** Lines of a text that ends with a line break. */
function linesOf(text: string): readonly string[] {
  return text.replace(/\n$/, '').split('\n')
}
