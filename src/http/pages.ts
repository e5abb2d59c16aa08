/** The few texts for people and robots that have found the server with a browser. */

import { VERSION } from '../ops/build-info.ts'

/** `GET /` of a relay. */
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

/** `GET /` of a repository host. */
export const HOST_WELCOME_TEXT: string = `This is an AT Protocol repository host: it owns repositories and serves them,
with proofs, exports and a stream of what changes. It runs Skein ${VERSION}.

  wss  /xrpc/com.atproto.sync.subscribeRepos?cursor=0     the stream, from the oldest event kept
  GET  /xrpc/com.atproto.sync.listRepos                   repositories, with their heads
  GET  /xrpc/com.atproto.sync.getRepoStatus?did=          whether one is served
  GET  /xrpc/com.atproto.sync.getRepo?did=                one of them as a CAR
  GET  /xrpc/com.atproto.sync.getRecord?did=&collection=&rkey=   a record with its proof
  GET  /xrpc/com.atproto.sync.listBlobs?did=              blobs of a repository
  GET  /xrpc/com.atproto.sync.getBlob?did=&cid=           one of them
  GET  /xrpc/com.atproto.server.describeServer            what this host is
  GET  /xrpc/_health                                      whether the host works
`

/** `GET /robots.txt` */
export const ROBOTS_TEXT = 'User-agent: *\nDisallow: /xrpc/\n'
