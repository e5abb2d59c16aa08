/** One test file as a process of its own: what came of it, as soon as that is known. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** How a run ended. */
export type TestOutcome =
  | { readonly kind: 'passed'; readonly tests: number; readonly ms: number }
  /** The first test that failed; the rest has not been waited for. */
  | { readonly kind: 'failed'; readonly title: string; readonly ms: number }
  /** It took longer than it may. */
  | { readonly kind: 'hung'; readonly ms: number }
  /** The process ended with an error that no test reported. */
  | { readonly kind: 'broke'; readonly detail: string; readonly ms: number }

/** What is kept of a process's errors, characters. */
const ERRORS_CHARS_MAX = 4_000
/** Line of a test that failed, in the Test Anything Protocol. */
const NOT_OK = /^\s*not ok \d+ - (.*)$/
const OK = /^\s*ok \d+ - /

/** What is mounted where, on Linux; tests mount nothing elsewhere. */
const MOUNTS = '/proc/self/mounts'

const running = new Set<ChildProcess>()

/** Ends what is running, with everything it has started. */
export function killTests(): void {
  for (const child of running) killGroup(child)
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It is gone already.
  }
}

/** Removes a directory, and first of all the small disks that tests mount to fill them. */
function removeTemporary(directory: string): void {
  if (existsSync(MOUNTS)) {
    const points = readFileSync(MOUNTS, 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[1] ?? '')
    for (const point of points) {
      if (point.startsWith(`${directory}/`)) spawnSync('umount', ['-l', point])
    }
  }
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
}

export interface TestRunOptions {
  /** The root of the copy that is tested. */
  readonly root: string
  /** Where its tests may put temporary files; emptied afterwards, since they may be cut short. */
  readonly temporary: string
  readonly limitMs: number
}

/** Runs the file `test`, a path from the root, up to its first failure. */
export async function runTest(test: string, options: TestRunOptions): Promise<TestOutcome> {
  const { root, temporary, limitMs } = options
  mkdirSync(temporary, { recursive: true })
  const startedMs = performance.now()
  const child = spawn(process.execPath, ['--test-reporter=tap', test], {
    cwd: root,
    env: environment(temporary),
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, which can be ended as one.
    detached: true,
  })
  running.add(child)
  let failed: string | null = null
  let hung = false
  let tests = 0
  let rest = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (OK.test(line)) tests++
      const title = NOT_OK.exec(line)?.[1]
      if (title === undefined || failed !== null) continue
      failed = title.replaceAll(/\\([\\#])/g, '$1')
      killGroup(child)
    }
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-ERRORS_CHARS_MAX)
  })
  const timer = setTimeout(() => {
    hung = true
    killGroup(child)
  }, limitMs)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => resolve(exitCode))
  })
  clearTimeout(timer)
  running.delete(child)
  // What the tests have started and not ended.
  killGroup(child)
  removeTemporary(temporary)
  const ms = performance.now() - startedMs
  if (failed !== null) return { kind: 'failed', title: failed, ms }
  if (hung) return { kind: 'hung', ms }
  if (code === 0) return { kind: 'passed', tests, ms }
  return { kind: 'broke', detail: errors.trim() || `exit code ${String(code)}`, ms }
}

/** Whether a source file can be loaded; null when it can, else why not. */
export async function loadFault(file: string, options: TestRunOptions): Promise<string | null> {
  const script = `await import(${JSON.stringify(`file://${join(options.root, file)}`)})`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: options.root,
    env: environment(options.temporary),
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  })
  running.add(child)
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(0, ERRORS_CHARS_MAX)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => resolve(exitCode))
  })
  running.delete(child)
  return code === 0 ? null : errors.trim() || `exit code ${String(code)}`
}

/** The environment of tests, without what says that a test runner is listening. */
function environment(temporary: string): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...rest } = process.env
  return { ...rest, TMPDIR: temporary, NO_COLOR: '1' }
}
