/** What a host in a process of its own is told, and what it answers. Bytes travel as they are. */
import type { Curve } from '../../src/crypto/curve.ts'
import type { RepoWrite } from '../../src/repo-host/record-writes.ts'
import type { AccountStatus } from '../../src/sim/world.ts'

/** A private key on its way to the host that signs with it. */
export interface SentKey {
  readonly curve: Curve
  readonly secret: Uint8Array
}

export type HostCall =
  | {
      readonly op: 'createAccount'
      readonly did: string
      readonly key: SentKey
      readonly handle: string
      readonly status: 'active' | 'deactivated'
    }
  | { readonly op: 'setStatus'; readonly did: string; readonly status: AccountStatus }
  | { readonly op: 'updateHandle'; readonly did: string; readonly handle: string }
  | { readonly op: 'rotateKey'; readonly did: string; readonly key: SentKey }
  | {
      readonly op: 'applyWrites'
      readonly did: string
      readonly writes: readonly RepoWrite[]
      readonly swapCommit: Uint8Array | null
    }
  /** Reads a CAR from an address; `signedBy` is a did:key. */
  | {
      readonly op: 'importRepo'
      readonly did: string
      readonly url: string
      readonly signedBy: string
    }
  /** A CAR that the caller has. */
  | { readonly op: 'importCar'; readonly did: string; readonly car: Uint8Array }
  | {
      readonly op: 'uploadBlob'
      readonly did: string
      readonly bytes: Uint8Array
      readonly mimeType: string
    }
  /** Fetches a blob from an address. */
  | { readonly op: 'moveBlob'; readonly did: string; readonly url: string }
  | { readonly op: 'missingBlobs'; readonly did: string }
  /** Collects as if it were so much later. */
  | { readonly op: 'collectGarbage'; readonly aheadMs: number }
  | { readonly op: 'latestCommit'; readonly did: string }
  | { readonly op: 'publishedSeq' }

export interface SentCall {
  readonly id: number
  readonly call: HostCall
}

/** `value` is what the method of RepoHost answers. */
export type HostAnswer =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'refused'; readonly reason: string; readonly detail: string }
  | { readonly kind: 'failed'; readonly message: string }

export type ChildMessage =
  | { readonly ready: { readonly address: string } }
  | { readonly id: number; readonly answer: HostAnswer }
