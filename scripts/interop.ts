/**
 * `npm run interop`: runs the harness of interop/ with Node 24 and ends with its exit code. The
 * harness has its own dependencies, real PDSes among them, which are installed when they are
 * missing or older than its lock file.
 */

import { spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const harness = join(root, 'interop')

/** Oldest version of Node that the harness's dependencies run on as they are installed. */
const NODE_MAJOR_MIN = 24

/** This Node when it is new enough, else the one among the development dependencies. */
function nodePath(): string {
  const major = Number(process.versions.node.split('.', 1)[0])
  if (major >= NODE_MAJOR_MIN) return process.execPath
  const local = join(root, 'node_modules', '.bin', 'node')
  if (existsSync(local)) return local
  throw new Error(`Node ${NODE_MAJOR_MIN} is needed: run npm install first, or use a newer Node`)
}

function isInstalled(): boolean {
  const installed = join(harness, 'node_modules', '.package-lock.json')
  const wanted = join(harness, 'package-lock.json')
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs
}

/** Runs a command to its end and returns its exit code; 1 when a signal ended it. */
function runCommand(command: string, args: readonly string[], path: string): Promise<number> {
  const child = spawn(command, args, {
    cwd: harness,
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  })
  const forward = (signal: NodeJS.Signals): void => {
    child.kill(signal)
  }
  process.once('SIGINT', forward)
  process.once('SIGTERM', forward)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => {
      process.removeListener('SIGINT', forward)
      process.removeListener('SIGTERM', forward)
      resolve(code ?? 1)
    })
  })
}

async function main(): Promise<number> {
  const node = nodePath()
  const path = `${dirname(node)}:${process.env['PATH'] ?? ''}`
  if (!isInstalled()) {
    process.stdout.write('installing the dependencies of interop/ (600 packages, once)\n')
    const code = await runCommand('npm', ['ci', '--ignore-scripts', '--loglevel=error'], path)
    if (code !== 0) return code
  }
  return runCommand(node, ['main.ts', ...process.argv.slice(2)], path)
}

process.exitCode = await main()
