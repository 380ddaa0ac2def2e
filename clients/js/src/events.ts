/** Who wants to hear of what. */

export type Handler<T> = (event: T) => void;

export class Events<Map extends object> {
  #handlers = new globalThis.Map<keyof Map, Set<Handler<never>>>();

  /** Returns what ends it. */
  on<Type extends keyof Map>(type: Type, handler: Handler<Map[Type]>): () => void {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers.add(handler as Handler<never>));
    return () => handlers.delete(handler as Handler<never>);
  }

  /** A handler that fails keeps nobody else from hearing. */
  emit<Type extends keyof Map>(type: Type, event: Map[Type]): void {
    for (const handler of [...(this.#handlers.get(type) ?? [])]) {
      try {
        (handler as Handler<Map[Type]>)(event);
      } catch (error) {
        if (typeof reportError === "function") reportError(error);
        else console.error(error);
      }
    }
  }
}
