/** The HTTP application of a repository host: its endpoints. */

import { messageOf } from '../lib/errors.ts'
import type { HostView } from '../repo-host/host-view.ts'
import type { BodyEnd, BodyStreams, PaceLimits } from './body-stream.ts'
import type { Endpoint } from './endpoint.ts'
import { HeldAnswers } from './held-answers.ts'
import { hostDescribeServer, type ServerDescription } from './host-describe-server.ts'
import { hostGetBlob } from './host-get-blob.ts'
import { hostGetBlocks } from './host-get-blocks.ts'
import { hostGetHead } from './host-get-head.ts'
import { hostGetLatestCommit } from './host-get-latest-commit.ts'
import { hostGetRecord } from './host-get-record.ts'
import { hostGetRepoStatus } from './host-get-repo-status.ts'
import { hostRepoEndpoints } from './host-get-repo.ts'
import { hostListBlobs } from './host-list-blobs.ts'
import { hostListRepos } from './host-list-repos.ts'
import { EXPORTS_PER_ADDRESS_MAX } from './http-limits.ts'
import { HOST_WELCOME_TEXT } from './pages.ts'
import { createXrpcApp, type XrpcApp, type XrpcAppParts } from './xrpc-app.ts'

/** What the application of a host is about. */
export interface HostAppParts {
  readonly view: HostView
  readonly description: ServerDescription
  /** Default {@link EXPORTS_PER_ADDRESS_MAX}; for those who allow more exports in all. */
  readonly exportsPerAddressMax?: number
  /** Told how each export and blob that was begun has ended, for metrics. */
  readonly onBodyEnd?: (nsid: string, end: BodyEnd, bytes: number) => void
  /** Told of each export that found no place: of the whole host, or of one address. */
  readonly onExportRefused?: (limit: 'host' | 'address') => void
  /** How slow readers of exports and blobs may be; tests shorten it. */
  readonly paceLimits?: PaceLimits
}

export interface HostAppOptions extends HostAppParts, XrpcAppParts {}

/** Builds the application. It holds no resources: nothing needs to be closed. */
export function createHostApp(options: HostAppOptions): XrpcApp {
  return createXrpcApp({
    ...options,
    endpoints: endpointsOf(options),
    health: () => options.view.health(),
    welcomeText: HOST_WELCOME_TEXT,
    role: 'host',
    exposedHeaders: ['accept-ranges', 'content-disposition', 'content-range', 'etag'],
  })
}

function endpointsOf(options: HostAppOptions): readonly Endpoint[] {
  const { view, description, metrics } = options
  const { exportsPerAddressMax = EXPORTS_PER_ADDRESS_MAX, onExportRefused } = options
  const streams = bodyStreams(options)
  const answers = { view, streams, held: new HeldAnswers() }
  return [
    hostDescribeServer(description),
    hostGetBlob(view, streams),
    hostGetBlocks(answers),
    hostGetHead(view),
    hostGetLatestCommit(view),
    hostGetRecord(answers),
    hostGetRepoStatus(view),
    hostListBlobs(view),
    hostListRepos(view),
    ...hostRepoEndpoints({ view, streams, metrics, exportsPerAddressMax, onExportRefused }),
  ]
}

function bodyStreams({ clock, logger, paceLimits, onBodyEnd }: HostAppOptions): BodyStreams {
  return {
    clock,
    limits: paceLimits,
    onEnd(nsid, end, bytes, error) {
      if (end === 'failed') {
        logger.warn(`http: ${nsid} was cut: ${messageOf(error)}`, { bytes, error })
      }
      onBodyEnd?.(nsid, end, bytes)
    },
  }
}
