/**
 * Silences the loggers of the PDS and the PLC directory. They read this when they are loaded, so
 * this file is the first import of main.ts.
 */
process.env['LOG_ENABLED'] = 'false'
