/** Traffic that is signed once and served by a child process. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { assert } from '../src/lib/assert.ts'
import type { ReplayHosts } from './consumer-hosts.ts'

/** Hosts in another process. */
export interface ReplayProcess extends ReplayHosts, AsyncDisposable {}

/** Serves a traffic file of one host; resolves when it listens. */
export async function startReplayProcess(path: string): Promise<ReplayProcess> {
  const script = fileURLToPath(new URL('./consumer-hosts.ts', import.meta.url))
  const child = spawn(process.execPath, [script, path], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  let hosts: ReplayHosts | null = null
  for await (const line of createInterface({ input: child.stdout })) {
    hosts = JSON.parse(line) as ReplayHosts
    break
  }
  assert(hosts !== null, 'the hosts listen')
  return {
    ...hosts,
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await ended
    },
  }
}
