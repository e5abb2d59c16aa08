/** The relay's HTTP application: its endpoints. */

import type { RelayMetrics } from '../ops/relay-metrics.ts'
import type { RelayView } from '../relay/relay-view.ts'
import type { Endpoint } from './endpoint.ts'
import { getHostStatus } from './get-host-status.ts'
import { getLatestCommit } from './get-latest-commit.ts'
import { getRepoStatus } from './get-repo-status.ts'
import { listHosts } from './list-hosts.ts'
import { listRepos } from './list-repos.ts'
import { WELCOME_TEXT } from './pages.ts'
import { redirectEndpoints } from './redirect-to-host.ts'
import { crawlEndpoints } from './request-crawl.ts'
import { createXrpcApp, type XrpcApp, type XrpcAppParts } from './xrpc-app.ts'

export interface RelayAppOptions extends XrpcAppParts {
  readonly view: RelayView
  readonly metrics: RelayMetrics
}

/** Builds the application. It holds no resources: nothing needs to be closed. */
export function createRelayApp(options: RelayAppOptions): XrpcApp {
  const { view, metrics, ...parts } = options
  return createXrpcApp({
    ...parts,
    metrics,
    endpoints: endpointsOf(view, metrics),
    health: () => view.health(),
    welcomeText: WELCOME_TEXT,
    role: 'relay',
  })
}

function endpointsOf(view: RelayView, metrics: RelayMetrics): readonly Endpoint[] {
  return [
    getHostStatus(view),
    getLatestCommit(view),
    getRepoStatus(view),
    listHosts(view),
    listRepos(view),
    ...crawlEndpoints(view, metrics),
    ...redirectEndpoints(view),
  ]
}
