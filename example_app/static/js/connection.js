// The connection: one Socket.IO client, requests as promises, and its state in words for the page.

const REQUEST_TIMEOUT = 10_000;

// ?transports=websocket or ?transports=polling restricts the client, to try a transport by itself.
function chosenTransports() {
  const known = ["polling", "websocket"];
  const given = new URLSearchParams(location.search).get("transports")?.split(",") ?? [];
  const chosen = given.filter((name) => known.includes(name));
  return chosen.length ? chosen : known;
}

/**
 * Connect to the server that the page came from.
 *
 * `on.state(state)` gets {phase, attempt, transport} at every change, with the phase connecting, online, reconnecting
 * or closed (by the server: the client does not come back by itself). `on.connected()` runs after every
 * connection, the first and each later one; `on.refused(message)` where the server does not let the user in.
 * `on.events` has the handlers of the server's events by their names.
 */
export class Connection {
  constructor(credentials, on) {
    this.on = on;
    this.wasOnline = false;
    this.socket = io({
      auth: credentials,
      transports: chosenTransports(),
      reconnectionDelay: 500,
      reconnectionDelayMax: 3000,
      forceNew: true,
    });
    for (const [name, handler] of Object.entries(on.events)) this.socket.on(name, handler);
    this.socket.on("connect", () => this.#connected());
    this.socket.on("disconnect", () => this.#lost());
    this.socket.on("connect_error", (error) => this.#failed(error));
    this.socket.io.on("reconnect_attempt", (attempt) => this.#tell(this.#waiting(), attempt));
    this.hurry = () => this.#hurry();
    window.addEventListener("online", this.hurry);
  }

  get online() {
    return this.socket.connected;
  }

  /** Send an event and wait for its ack: {ok: true, ...}, {ok: false, error}, or {ok: false, lost: true}. */
  async request(event, payload, timeout = REQUEST_TIMEOUT) {
    if (!this.online) return { ok: false, lost: true, error: "There is no connection." };
    try {
      return await this.socket.timeout(timeout).emitWithAck(event, payload);
    } catch {
      return { ok: false, lost: true, error: "The server did not answer." };
    }
  }

  /** Send an event that may as well get lost. */
  signal(event, payload) {
    if (this.online) this.socket.volatile.emit(event, payload);
  }

  reopen() {
    this.#tell("connecting");
    this.socket.connect();
  }

  close() {
    window.removeEventListener("online", this.hurry);
    this.socket.off();
    this.socket.io.off();
    this.socket.disconnect();
  }

  #connected() {
    this.wasOnline = true;
    const engine = this.socket.io.engine;
    engine.on("upgrade", () => this.online && this.#tell("online"));
    this.#tell("online");
    this.on.connected();
  }

  // Where `active` is false the client does not try again: the server has said that it should not.
  #lost() {
    this.#tell(this.socket.active ? "reconnecting" : "closed");
  }

  #failed(error) {
    if (this.socket.active) return; // no server there: the manager tries again
    this.on.refused(error.message);
  }

  // The device has its network back: try at once, not when the pause between two attempts is over.
  #hurry() {
    if (this.online || !this.socket.active) return;
    this.socket.disconnect();
    this.socket.connect();
  }

  #waiting() {
    return this.wasOnline ? "reconnecting" : "connecting";
  }

  #tell(phase, attempt = 0) {
    const transport = phase === "online" ? this.socket.io.engine.transport.name : null;
    this.on.state({ phase, attempt, transport });
  }
}
