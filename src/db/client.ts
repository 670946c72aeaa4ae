import pg from "pg";

/** A field that node-postgres's types lack: the database that the client connects to. */
interface Parameters {
  connectionParameters: { database: string | undefined };
}

/**
 * node-postgres's client, with support for any database name. node-postgres decodes the path of a connection string with `decodeURI`, which leaves
 * the characters `; , / ? : @ & = + $ #` escaped, so it would try to connect to a database called `a%40b`.
 */
export class Client extends pg.Client {
  constructor(config: pg.ClientConfig = {}) {
    super(config);
    const escaped = /%(?:2[3468bcf]|3[a-bdf]|40)/i;
    const [, path = ""] = /^\w+:\/\/[^/?]*\/([^?]*)/.exec(config.connectionString ?? "") ?? [];
    if (!config.connectionString?.startsWith("postgres") || !escaped.test(path)) return;
    this.database = decodeURIComponent(path);
    (this as unknown as Parameters).connectionParameters.database = this.database;
  }
}
