/**
 * Records with the application's own types: each collection has a schema of any library that
 * implements Standard Schema (https://standardschema.dev, version 1).
 */
import { messageOf, SkeinError } from '../../lib/errors.ts'
import type {
  CommitEvent,
  OperationHead,
  RecordIssue,
  RecordOutcome,
  RecordValue,
  RepoOperation,
} from './events.ts'

/** The part of Standard Schema, version 1, that is used here. Validators of its libraries fit. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
  }
}

/** What a validator answers: a value, perhaps transformed, or what is wrong. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] }

export interface StandardIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A schema a collection. */
export type SchemaMap = Readonly<Record<string, StandardSchema>>

/** What records that a schema accepts are. */
export type RecordOf<S extends StandardSchema> = NonNullable<S['~standard']['types']>['output']

declare const other: unique symbol

/**
 * A collection that has no schema: `String(collection)` is its NSID. To the compiler it is no
 * string, because TypeScript would then not rule it out where `collection` is compared with a known
 * one.
 */
export interface OtherCollection {
  readonly [other]: true
  toString(): string
}

type OperationIn<Collection, Value> = Omit<OperationHead, 'collection'> & {
  readonly collection: Collection
  /** The new record; null for an operation that brings none. */
  readonly record: RecordOutcome<Value> | null
}

/**
 * An operation whose `collection` tells what its record is. To compare `collection` with one that
 * has no schema, give that one {@link anyRecord}.
 */
export type TypedOperation<S extends SchemaMap> =
  | { [C in keyof S & string]: OperationIn<C, RecordOf<S[C]>> }[keyof S & string]
  | OperationIn<OtherCollection, RecordValue>

/** A schema that accepts every record as it is. */
export const anyRecord: StandardSchema<RecordValue> = {
  '~standard': {
    version: 1,
    vendor: 'skein',
    validate: (value) => ({ value: value as RecordValue }),
  },
}

/** Most issues of one record that are kept: validators may name every item of a long list. */
const ISSUES_MAX = 32
/** Longest message of an issue that is kept, in UTF-16 units. */
const MESSAGE_CHARS_MAX = 512
/** Deepest path of an issue that is kept. */
const PATH_MAX = 128

/**
 * Reads records by the schemas of their collections.
 *
 * @example
 * const records = new RecordSchemas({ 'app.bsky.feed.post': postSchema })
 * for (const op of records.commit(event).ops) {
 *   if (op.collection === 'app.bsky.feed.post' && op.record?.valid) show(op.record.value.text)
 * }
 */
export class RecordSchemas<const S extends SchemaMap> {
  readonly #schemas: ReadonlyMap<string, StandardSchema>

  /** @param schemas By the NSID of the collection. Other collections pass unchanged. */
  constructor(schemas: S) {
    this.#schemas = new Map(Object.entries(schemas))
  }

  /** The commit with typed operations, each as {@link RecordSchemas.operation} says. */
  commit(event: CommitEvent): CommitEvent<TypedOperation<S>> {
    return event.mapOps((operation) => this.operation(operation))
  }

  /** The commit with typed operations, all of them validated, in order, one after the other. */
  async commitAsync(event: CommitEvent): Promise<CommitEvent<TypedOperation<S>>> {
    const typed = new Map<RepoOperation, TypedOperation<S>>()
    for (const operation of event.ops) {
      typed.set(operation, await this.operationAsync(operation))
    }
    return event.mapOps((operation) => typed.get(operation) ?? this.operation(operation))
  }

  /**
   * The operation with its record validated when it is first asked for. A record that the schema
   * refuses, or on which the validator throws, is not valid.
   *
   * @throws SkeinError SCHEMA_ASYNC, from `record`, when the validator answers with a promise: use
   *   `operationAsync` and `commitAsync` with such schemas.
   */
  operation(operation: RepoOperation): TypedOperation<S> {
    const schema = this.#schemas.get(operation.collection)
    return typedOperation(operation, () => validateNow(schema, operation))
  }

  /** The operation with its record validated already, however long the validator takes. */
  async operationAsync(operation: RepoOperation): Promise<TypedOperation<S>> {
    const schema = this.#schemas.get(operation.collection)
    const record = await validateLater(schema, operation)
    return typedOperation(operation, () => record)
  }
}

type Outcome = RecordOutcome<unknown> | null

function validateNow(
  schema: StandardSchema | undefined,
  { collection, record }: RepoOperation,
): Outcome {
  if (schema === undefined || record === null || !record.valid) return record
  let answer: ReturnType<StandardSchema['~standard']['validate']>
  try {
    answer = schema['~standard'].validate(record.value)
  } catch (thrown) {
    return refused(record.value, [{ message: messageOf(thrown) }])
  }
  if (!('then' in answer)) return outcomeOf(record.value, answer)
  answer.catch(() => undefined)
  throw new SkeinError('SCHEMA_ASYNC', 'validate record: the schema answers with a promise', {
    collection,
  })
}

async function validateLater(
  schema: StandardSchema | undefined,
  { record }: RepoOperation,
): Promise<Outcome> {
  if (schema === undefined || record === null || !record.valid) return record
  try {
    return outcomeOf(record.value, await schema['~standard'].validate(record.value))
  } catch (thrown) {
    return refused(record.value, [{ message: messageOf(thrown) }])
  }
}

function outcomeOf(value: RecordValue, answer: StandardResult<unknown>): RecordOutcome<unknown> {
  if (answer.issues === undefined) return { valid: true, value: answer.value }
  return refused(value, answer.issues)
}

function refused(value: RecordValue, issues: readonly StandardIssue[]): RecordOutcome<unknown> {
  return { valid: false, reason: null, issues: issues.slice(0, ISSUES_MAX).map(issueOf), value }
}

function issueOf({ message, path = [] }: StandardIssue): RecordIssue {
  return {
    message: message.slice(0, MESSAGE_CHARS_MAX),
    path: path.slice(0, PATH_MAX).map((step) => (typeof step === 'object' ? step.key : step)),
  }
}

/** Only the schema's own collection gets its type, which no compiler can follow here. */
function typedOperation<S extends SchemaMap>(
  operation: RepoOperation,
  validate: () => Outcome,
): TypedOperation<S> {
  const typed: unknown = new ValidatedOperation(operation, validate)
  return typed as TypedOperation<S>
}

class ValidatedOperation implements OperationHead {
  readonly #operation: RepoOperation
  readonly #validate: () => Outcome
  #record: Outcome | undefined

  constructor(operation: RepoOperation, validate: () => Outcome) {
    this.#operation = operation
    this.#validate = validate
  }

  get action(): string {
    return this.#operation.action
  }

  get path(): string {
    return this.#operation.path
  }

  get collection(): string {
    return this.#operation.collection
  }

  get rkey(): string {
    return this.#operation.rkey
  }

  get cid(): string | null {
    return this.#operation.cid
  }

  get prev(): string | null {
    return this.#operation.prev
  }

  get recordBytes(): Uint8Array | null {
    return this.#operation.recordBytes
  }

  get record(): Outcome {
    if (this.#record === undefined) this.#record = this.#validate()
    return this.#record
  }
}
