/**
 * Who an account is: its signing key and its host, by the word of its DID document. And, because
 * DID documents name hosts, how this process asks hosts that strangers have named.
 *
 * - `identity.ts`: the shared words: `Identity`, `Resolution`, `IdentityStore`, hooks.
 * - `did-document.ts`: a DID document, hostile, to key, host and handle. Pure.
 * - `hostname.ts`: host names in one spelling. Pure.
 * - `identity-resolver.ts`: the resolver that others use; coalesces, limits, falls back.
 * - `identity-cache.ts`: memory and disk behind it; freshness, doubts, refusals.
 * - `lookup-queue.ts`: bounded concurrency with a bounded queue.
 * - `plc-resolver.ts`, `did-web-resolver.ts`: the two DID methods, over `fetch-document.ts`.
 * - `safe-fetch.ts`: outbound HTTP, bounded; used by other folders for their requests too.
 * - `http-client.ts`: what its requests, responses and failures look like.
 * - `bounded-body.ts`: the body of a response as it comes, bounded in bytes, silence and slowness.
 * - `web-http.ts`: the same requests by the web's `fetch`; `web-network.ts`: resolvers over it.
 * - `network.ts`, `network.node.ts`, `network.web.ts`: what `#network` picks by package condition.
 * - `address-policy.ts`: which addresses may be connected to, also for WebSockets.
 * - `address-lookup.ts`: DNS that does not block the threads that write files.
 * - `host-limits.ts`: requests per host, by rate and under way.
 * - `create-identity-resolver.ts`: the usual composition of the above.
 *
 * Ownership: a `SafeFetch` owns its sockets; an `IdentityResolver` owns its cache, and borrows the
 * store, which must outlive it. Identities are shared objects: do not modify them.
 *
 * Refused on purpose: resolving handles (they play no part in verification), verifying the
 * operation log of did:plc, DID methods other than plc and web, paths in did:web, and ever treating
 * "could not find out" as an answer.
 *
 * @module
 */

export { createDnsLookup, resolvePrivateNames } from './address-lookup.ts'
export type { DnsLookupOptions, ResolveAddresses } from './address-lookup.ts'
export { checkedConnectOptions, createAddressPolicy, isBlocked } from './address-policy.ts'
export type { AddressPolicy, AddressPolicyOptions, CheckedConnection } from './address-policy.ts'
export { createIdentityResolver } from './create-identity-resolver.ts'
export type { IdentityResolverSetup } from './create-identity-resolver.ts'
export { parseDidDocument, readDidDocument } from './did-document.ts'
export type { DidDocument } from './did-document.ts'
export { DidWebResolver, parseWebDid } from './did-web-resolver.ts'
export type { DidWebResolverOptions } from './did-web-resolver.ts'
export { DID_DOCUMENT_BYTES_MAX } from './fetch-document.ts'
export { HostLimits, TokenBucket } from './host-limits.ts'
export type { Admission, HostLimitsOptions } from './host-limits.ts'
export { REDIRECTS_MAX, REQUEST_FAILURES, requestFailureOf } from './http-client.ts'
export type { HttpClient, RequestFailure, SafeRequest, SafeResponse } from './http-client.ts'
export type { StreamClient, StreamRequest, StreamResponse } from './http-client.ts'
export { parseHostname } from './hostname.ts'
export type { HostAddress, HostnameOptions } from './hostname.ts'
export { IDENTITY_CACHE_LIMITS } from './identity-cache.ts'
export type { IdentityCacheLimits } from './identity-cache.ts'
export { IDENTITY_LIMITS, IdentityResolver } from './identity-resolver.ts'
export type { IdentityLimits, IdentityResolverOptions } from './identity-resolver.ts'
export type * from './identity.ts'
export { PLC_DIRECTORY, PlcResolver } from './plc-resolver.ts'
export type { PlcResolverOptions } from './plc-resolver.ts'
export { createSafeFetch, SAFE_FETCH_LIMITS, SafeFetch } from './safe-fetch.ts'
export type { SafeFetchLimits, SafeFetchOptions } from './safe-fetch.ts'
export type { Network, NetworkSetup } from './network.ts'
export { WebHttp } from './web-http.ts'
export type { WebHttpOptions } from './web-http.ts'
export { createWebIdentityResolver, openWebNetwork } from './web-network.ts'
