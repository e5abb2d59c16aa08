/** A simulated network and a folder for commands under test. */

import { join } from 'node:path'

import { must } from '../../lib/assert.ts'
import { TemporaryDirectory } from '../../ops/temporary-directory.ts'
import { type SimNetwork, startNetwork } from '../../sim/network.ts'
import type { NetworkOptions } from '../../sim/network-options.ts'
import { runCli } from '../program.ts'
import { type CapturedIo, type CapturedIoOptions, captureIo } from './captured-io.ts'

/** How a command ended. */
export interface CliRun {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command; `more` is what the process is like. */
export async function runCommand(
  args: readonly string[],
  more: CapturedIoOptions & { readonly txt?: Readonly<Record<string, string>> } = {},
): Promise<CliRun & { readonly captured: CapturedIo }> {
  const captured = captureIo(more)
  const code = await runCli(args, captured.io, {
    loadRelay: () => Promise.reject(new Error('no relay here')),
    lookUpTxt: async (name) => {
      const did = more.txt?.[name]
      if (did === undefined) throw Object.assign(new Error('queryTxt'), { code: 'ENOTFOUND' })
      return [[`did=${did}`]]
    },
  })
  return { code, out: captured.out(), err: captured.err(), captured }
}

/** A network on loopback, and a folder that goes with it. */
export class CliWorld implements AsyncDisposable {
  readonly network: SimNetwork
  readonly #folder: TemporaryDirectory

  private constructor(network: SimNetwork, folder: TemporaryDirectory) {
    this.network = network
    this.#folder = folder
  }

  static async start(options: NetworkOptions = {}): Promise<CliWorld> {
    const small = { hosts: 1, accounts: 4, records: 60, blobBytes: 200, changes: 0 }
    const network = await startNetwork({ ...small, gate: async () => {}, ...options })
    return new CliWorld(network, await TemporaryDirectory.create('skein-cli-'))
  }

  /** An account's DID by its number. */
  did(index = 0): string {
    return must([...this.network.simulation.world.dids][index], 'account')
  }

  path(name: string): string {
    return join(this.#folder.path, name)
  }

  /** The flags that lead to this network. */
  get flags(): readonly string[] {
    return ['--plc', this.network.plc.url, '--allow-private-network']
  }

  run(
    args: readonly string[],
    more: Parameters<typeof runCommand>[1] = {},
  ): ReturnType<typeof runCommand> {
    return runCommand([...args, ...this.flags], more)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]()
    await this.#folder[Symbol.asyncDispose]()
  }
}
