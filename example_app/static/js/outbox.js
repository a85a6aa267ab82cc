// Messages on their way. They wait here while there is no connection and leave in their order when there is.

/**
 * Sends texts one after the other, each until the server has answered.
 *
 * An answer that is lost is no answer: the message is sent again with the same key, by which the server and the
 * receivers know it. `ready(conversation)` says whether it can be sent now, `answered(item, reply)` gets the reply.
 */
export class Outbox {
  #items = [];
  #running = false;

  constructor({ connection, ready, answered }) {
    this.connection = connection;
    this.ready = ready;
    this.answered = answered;
  }

  get size() {
    return this.#items.length;
  }

  put(conversation, entry) {
    this.#items.push({ conversation, entry });
    this.flush();
  }

  async flush() {
    if (this.#running) return;
    this.#running = true;
    try {
      let item;
      while ((item = this.#items.find(({ conversation }) => this.ready(conversation)))) {
        const reply = await this.#send(item);
        if (reply.lost) continue;
        this.#items.splice(this.#items.indexOf(item), 1);
        this.answered(item, reply);
      }
    } finally {
      this.#running = false;
    }
  }

  #send({ conversation, entry }) {
    const { text, key } = entry;
    return conversation.kind === "room"
      ? this.connection().request("post", { room: conversation.name, text, key })
      : this.connection().request("whisper", { to: conversation.name, text, key });
  }
}
