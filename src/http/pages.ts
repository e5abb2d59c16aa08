/** The few texts for people and robots that have found the server with a browser. */

import { VERSION } from '../ops/build-info.ts'

/** `GET /` */
export const WELCOME_TEXT: string = `This is an AT Protocol relay: it subscribes to hosts, verifies every event,
and streams what is valid in one order. It runs Skein ${VERSION}.

  wss  /xrpc/com.atproto.sync.subscribeRepos?cursor=0   the stream, from the oldest event kept
  GET  /xrpc/com.atproto.sync.listHosts                 hosts that this relay knows
  GET  /xrpc/com.atproto.sync.getHostStatus?hostname=   one of them
  GET  /xrpc/com.atproto.sync.listRepos                 accounts, with the head of their repository
  GET  /xrpc/com.atproto.sync.getRepoStatus?did=        one of them
  POST /xrpc/com.atproto.sync.requestCrawl              {"hostname":"pds.example.com"}
  GET  /xrpc/_health                                    whether the relay works
`

/** `GET /robots.txt` */
export const ROBOTS_TEXT = 'User-agent: *\nDisallow: /xrpc/\n'
