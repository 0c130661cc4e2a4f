from asyncpipe.cli import main

if __name__ == "__main__":
    main()
