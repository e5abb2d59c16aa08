/** A `#commit` whose CIDs, operations and records are made when they are asked for. */
import { BlockIndex } from '../../data/block-index.ts'
import { type CarReason, indexCar, parseCar } from '../../data/car.ts'
import { cidToString } from '../../data/cid.ts'
import { decodeDrisl } from '../../data/drisl.ts'
import { COMMIT_CAR_BLOCKS_MAX, RECORD_BYTES_MAX } from '../../lib/limits.ts'
import type { InvalidReason } from '../../lib/reasons.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { isRawBody } from '../../stream/frame-check.ts'
import type { CommitBody, RepoOp } from '../../stream/frame-types.ts'
import type { Did } from '../../syntax/did.ts'
import type { Tid } from '../../syntax/tid.ts'
import type {
  CommitEvent,
  InvalidRecord,
  RecordOutcome,
  RecordValue,
  RepoOperation,
} from './events.ts'

const LIMITS = { blocksMax: COMMIT_CAR_BLOCKS_MAX }

/** The event of a `#commit` frame. `body` must have passed the checks of the stream's frames. */
export function commitEvent(body: CommitBody, bytes: Uint8Array): CommitEvent {
  const blocks = new LazyBlocks(body.blocks.buf)
  return new CommitView(body, bytes, () => body.ops.map((op) => new OperationView(op, blocks)))
}

class CommitView<Op> implements CommitEvent<Op> {
  readonly type = '#commit'
  readonly body: CommitBody
  readonly bytes: Uint8Array
  readonly #makeOps: () => readonly Op[]
  #ops: readonly Op[] | null = null

  constructor(body: CommitBody, bytes: Uint8Array, makeOps: () => readonly Op[]) {
    this.body = body
    this.bytes = bytes
    this.#makeOps = makeOps
  }

  get seq(): number {
    return this.body.seq
  }

  get did(): Did {
    return this.body.repo as Did
  }

  get time(): string {
    return this.body.time
  }

  get rev(): Tid {
    return this.body.rev as Tid
  }

  get since(): Tid | null {
    return this.body.since as Tid | null
  }

  get commit(): string {
    return this.body.commit.$link
  }

  get prevData(): string | null {
    return this.body.prevData?.$link ?? null
  }

  get ops(): readonly Op[] {
    this.#ops ??= this.#makeOps()
    return this.#ops
  }

  checkBlocks(): Result<BlockIndex, CarReason> {
    const car = parseCar(this.body.blocks.buf, LIMITS)
    return car.ok ? ok(car.value.blocks) : car
  }

  mapOps<Other>(map: (operation: Op) => Other): CommitEvent<Other> {
    return new CommitView(this.body, this.bytes, () => this.ops.map((op) => map(op)))
  }
}

/** The blocks of one commit, indexed at the first question. */
class LazyBlocks {
  readonly #car: Uint8Array
  #found: Result<BlockIndex, CarReason> | null = null

  constructor(car: Uint8Array) {
    this.#car = car
  }

  /** The block, a view; or why there is none. */
  get(cid: Uint8Array): Result<Uint8Array, CarReason | 'op-record-missing'> {
    this.#found ??= this.#index()
    if (!this.#found.ok) return this.#found
    const block = this.#found.value.get(cid)
    if (block !== null) return ok(block)
    return fail('op-record-missing', `record ${cidToString(cid)} is not in the CAR`)
  }

  #index(): Result<BlockIndex, CarReason> {
    const car = indexCar(this.#car, LIMITS)
    return car.ok ? ok(car.value.blocks) : car
  }
}

class OperationView implements RepoOperation {
  readonly #op: RepoOp
  readonly #blocks: LazyBlocks
  readonly #slash: number
  #record: RecordOutcome<RecordValue> | null = null

  constructor(op: RepoOp, blocks: LazyBlocks) {
    this.#op = op
    this.#blocks = blocks
    const slash = op.path.indexOf('/')
    this.#slash = slash === -1 ? op.path.length : slash
  }

  get action(): string {
    return this.#op.action
  }

  get path(): string {
    return this.#op.path
  }

  get collection(): string {
    return this.#op.path.slice(0, this.#slash)
  }

  get rkey(): string {
    return this.#op.path.slice(this.#slash + 1)
  }

  get cid(): string | null {
    return this.#op.cid?.$link ?? null
  }

  get prev(): string | null {
    return this.#op.prev?.$link ?? null
  }

  get recordBytes(): Uint8Array | null {
    const { cid } = this.#op
    if (cid === null) return null
    const block = this.#blocks.get(cid.bytes)
    return block.ok ? block.value : null
  }

  get record(): RecordOutcome<RecordValue> | null {
    const { cid } = this.#op
    if (cid === null) return null
    this.#record ??= decodeRecord(this.#blocks.get(cid.bytes))
    return this.#record
  }
}

/** Decodes the bytes of a record; what stands in their place when there are none is not valid. */
export function decodeRecord(block: Result<Uint8Array, InvalidReason>): RecordOutcome<RecordValue> {
  if (!block.ok) return unreadable(block.reason, block.detail)
  const bytes = block.value
  if (bytes.length > RECORD_BYTES_MAX) {
    return unreadable('op-record-too-large', `the record has ${bytes.length} bytes`)
  }
  const decoded = decodeDrisl(bytes)
  if (!decoded.ok) return unreadable('op-record-malformed', `the record: ${decoded.detail}`)
  const { value } = decoded
  if (!isRawBody(value)) return unreadable('op-record-malformed', 'the record is not a map')
  return { valid: true, value }
}

function unreadable(reason: InvalidReason, message: string): InvalidRecord {
  return { valid: false, reason, issues: [{ message, path: [] }], value: null }
}
