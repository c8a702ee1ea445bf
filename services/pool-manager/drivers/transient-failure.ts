import { AirlockError } from "#common/errors.ts";

/**
 * A `start_failed` with a passing cause: the next attempt may succeed without any change, so the pool makes a
 * few attempts before it refuses executions.
 */
export class TransientFailure extends AirlockError {
  constructor(message: string, options: ConstructorParameters<typeof AirlockError>[2] = {}) {
    super("start_failed", message, options);
    this.name = "TransientFailure";
  }
}
