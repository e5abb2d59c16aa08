/**
 * @module
 * Data on the wire: strict DRISL, CIDs and CAR files.
 *
 * - `drisl.ts`: check and decode the deterministic CBOR of atproto
 * - `drisl-encode.ts`: write it
 * - `drisl-decode.ts`: values out of checked bytes
 * - `data-json.ts`: its JSON form, with $link and $bytes
 * - `utf8.ts`: UTF-8 validation on byte ranges
 * - `cid.ts`: CIDs as 36 bytes, and as text for people
 * - `varint.ts`: the lengths in a CAR
 * - `block-index.ts`: blocks of a CAR in memory by CID, without copies
 * - `car.ts`: a CAR that lies in memory, each block hashed once
 * - `car-stream.ts`: a CAR read and written as a stream in bounded memory
 *
 * Everything here is pure and runs in browsers. Views into the caller's bytes are given out freely:
 * who keeps one must not change the bytes. Nothing here knows what a block means; ../repo does.
 */
export * from './block-index.ts'
export * from './car-stream.ts'
export * from './car.ts'
export * from './cid.ts'
export * from './data-json.ts'
export * from './drisl-encode.ts'
export * from './drisl.ts'
